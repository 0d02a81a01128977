//! Requests of the app on the whole keeper: what it asks the server meanwhile, and when the app
//! gets its answer.

use std::vec::Vec;

use super::world::*;
use crate::{
    AppAction, AppEvent, AppRequest, AppRequestId, Destination, Effect, Generation, Input, Notice,
    Options, PageEvent, Probe, Replay, SessionState,
};
use AppAction::{Deliver, Send};
use AppEvent::{NoResponse, Unauthorized, Unavailable};

/// Each request of the app takes this long.
const ROUND_TRIP: u64 = 20;

impl World {
    /// Signed in for a while: no verification is recent.
    fn calm(options: Options) -> Self {
        let mut world = Self::signed_in(options);
        world.pass(20_000);
        world
    }

    fn request(&self, id: u32) -> AppRequest {
        AppRequest {
            id: AppRequestId(id),
            replay: Replay::Always,
            destination: Destination::Api,
            resource: 1,
            sent_with: self.keeper.generation().map(Generation::tag),
        }
    }

    fn app_meets(&mut self, request: AppRequest, event: AppEvent) {
        let _ = self.input(Input::AppRequest { request, event });
    }

    /// What the core said of the request so far.
    fn said_of(&self, id: u32) -> Vec<AppAction> {
        let said = self.orders.iter().filter_map(|(_, effect)| match effect {
            Effect::AppRequest { request, action } if request.0 == id => Some(*action),
            _ => None,
        });
        said.collect()
    }

    /// A request that meets the same each time: how often it is sent, and how long it takes.
    fn app_asks(&mut self, id: u32, event: AppEvent) -> (usize, u64) {
        let start = self.now();
        for sent in 1.. {
            self.pass(ROUND_TRIP);
            self.app_meets(self.request(id), event);
            self.until(200_000, |it| it.said_of(id).len() == sent).expect("it is answered");
            if self.said_of(id)[sent - 1] == Deliver {
                return (sent, self.now() - start);
            }
        }
        unreachable!("an endless loop ended");
    }
}

#[test]
fn a_401_is_settled_by_a_verification_within_its_round_trip() {
    let mut world = World::calm(Options::default());
    let since = world.now();
    world.app_meets(world.request(1), Unauthorized);
    world.pass(1);
    assert_eq!(world.sent_since(since, Probe::Verify).len(), 1);
    assert_eq!(world.said_of(1), []);
    world.pass(TRIP + 1);
    assert_eq!(world.said_of(1), [Send]);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_401_right_after_an_acceptance_is_asked_again_before_anything_is_decided() {
    let mut world = World::signed_in(Options::default());
    world.app_meets(world.request(1), Unauthorized);
    assert_eq!(world.said_of(1), [Send]);
    world.app_meets(world.request(1), AppEvent::Closed);
    world.pass(30_000);
    assert_eq!(world.said_of(1), [Send]);
}

#[test]
fn a_revoked_session_gets_its_401_after_the_sign_out() {
    let mut world = World::calm(Options::default());
    world.server_says(&answers(rejected("a", "1")));
    world.app_meets(world.request(1), Unauthorized);
    world.until(20_000, |it| !it.said_of(1).is_empty()).expect("it is over in time");
    assert_eq!(world.said_of(1), [Deliver]);
    let order = |wanted: &dyn Fn(&Effect) -> bool| {
        world.orders.iter().position(|(_, effect)| wanted(effect)).expect("it is there")
    };
    let signed_out = order(&|it| matches!(it, Effect::Notify(Notice::SignedOut(_))));
    let delivered = order(&|it| matches!(it, Effect::AppRequest { .. }));
    assert!(signed_out < delivered, "the app got the 401 first");
}

#[test]
fn a_path_that_always_says_401_is_answered_at_once_and_checked_once_in_ten_seconds() {
    let mut world = World::calm(Options::default());
    let since = world.now();
    let mut slowest = 0;
    for id in 1..=60 {
        let (sent, took) = world.app_asks(id, Unauthorized);
        assert!(sent <= 2, "sent {sent} times");
        slowest = slowest.max(took);
        world.pass(500 - took);
    }
    assert!(slowest <= 2 * ROUND_TRIP + TRIP + 10, "{slowest} ms");
    let checks = world.sent_since(since, Probe::Verify);
    assert!(checks.len() <= 4, "{} checks in 30 s", checks.len());
    assert!(checks.windows(2).all(|pair| pair[1] - pair[0] >= 10_000), "{checks:?}");
}

#[test]
fn a_second_401_within_ten_seconds_waits_for_the_next_check_that_is_allowed() {
    let mut world = World::calm(Options::default());
    assert_eq!(world.app_asks(1, Unauthorized).0, 2);
    let other = AppRequest { resource: 2, replay: Replay::AfterUnauthorized, ..world.request(2) };
    world.app_meets(other, Unauthorized);
    let waited = world.until(20_000, |it| !it.said_of(2).is_empty()).expect("it is answered");
    assert!((9_000..10_500).contains(&waited), "{waited} ms");
    assert_eq!(world.said_of(2), [Deliver]);
}

#[test]
fn a_401_that_comes_while_a_check_is_under_way_waits_for_the_next_one() {
    let mut world = World::calm(Options::default());
    let _ = world.input(Input::Verify);
    world.pass(TRIP / 2);
    let post = AppRequest { replay: Replay::AfterUnauthorized, ..world.request(1) };
    world.app_meets(post, Unauthorized);
    world.pass(TRIP / 2 + 1);
    assert_eq!(world.said_of(1), [], "the check may have been answered before the 401");
    world.pass(TRIP + 1);
    assert_eq!(world.said_of(1), [Deliver]);
}

#[test]
fn a_401_is_held_through_an_outage_and_settled_after_it() {
    let mut world = World::calm(Options::default());
    world.server_says(&Reply::Fails);
    world.app_meets(world.request(1), Unauthorized);
    world.pass(30_000);
    assert_eq!(world.said_of(1), []);
    world.server_says(&answers(well("a", "1")));
    world.pass(20_000);
    assert_eq!(world.said_of(1), [Send]);
}

#[test]
fn a_path_that_is_always_unavailable_never_waits_for_more_than_two_seconds() {
    for options in [Options::default(), without_health()] {
        let mut world = World::calm(options);
        let (mut slowest, mut most) = (0, 0);
        let since = world.now();
        for id in 1..=40 {
            let (sent, took) = world.app_asks(id, Unavailable);
            (slowest, most) = (slowest.max(took), most.max(sent));
            world.pass(300);
        }
        assert!(slowest <= 2_000 + 2 * ROUND_TRIP + 10, "{slowest} ms");
        assert_eq!(most, 2);
        let probes = [Probe::Health, Probe::Verify].map(|it| world.sent_since(since, it).len());
        assert!(probes.iter().sum::<usize>() <= 3, "{probes:?} in 15 s");
    }
}

#[test]
fn without_pings_a_lost_request_starts_one_verification_in_ten_seconds() {
    let mut world = World::calm(without_health());
    let since = world.now();
    for id in 1..=250 {
        world.app_meets(AppRequest { replay: Replay::Never, ..world.request(id) }, NoResponse);
        world.pass(100);
    }
    let checks = world.sent_since(since, Probe::Verify);
    assert_eq!(checks.len(), 3, "{checks:?}");
}

#[test]
fn without_pings_a_lost_request_leaves_the_floor_of_retry_after_alone() {
    let mut world = World::calm(without_health());
    world.verify = answers(patient(429, 60));
    let _ = world.input(Input::Verify);
    world.pass(TRIP + 1);
    let since = world.now();
    for id in 1..=50 {
        world.app_meets(world.request(id), NoResponse);
        world.pass(1_000);
    }
    assert_eq!(world.sent_since(since, Probe::Verify), []);
}

#[test]
fn a_request_that_met_an_outage_is_sent_again_when_the_server_is_back() {
    for options in [Options::default(), without_health()] {
        let mut world = World::calm(options);
        world.server_says(&answers(html(503)));
        world.app_meets(world.request(1), NoResponse);
        world.pass(20_000);
        assert_eq!(world.said_of(1), []);
        world.server_says(&answers(well("a", "2")));
        world.pass(10_000);
        assert_eq!(world.said_of(1), [Send]);
    }
}

#[test]
fn a_request_before_the_record_is_read_is_sent_with_its_token_or_after_two_seconds() {
    for (answers, waits) in [(true, 1), (false, 2_000)] {
        let mut world = World::new(Options::default());
        world.record = active(1);
        world.store_answers = answers;
        let _ = world.input(Input::Start);
        assert!(!world.keeper.may_send());
        world.app_meets(world.request(1), AppEvent::Ready);
        let waited = world.until(10_000, |it| !it.said_of(1).is_empty()).expect("it is bounded");
        assert_eq!(world.said_of(1), [Send]);
        assert!(waited >= waits && waited <= waits + 10, "{waited} ms");
        assert_eq!(world.keeper.generation().is_some(), answers);
    }
}

#[test]
fn a_page_that_was_frozen_gives_back_what_waited_too_long() {
    let mut world = World::calm(Options::default());
    world.server_says(&Reply::Fails);
    world.app_meets(world.request(1), NoResponse);
    world.pass(5_000);
    world.page(PageEvent::Suspended);
    world.pass(120_000);
    assert_eq!(world.said_of(1), []);
    world.page(PageEvent::Resumed);
    assert_eq!(world.said_of(1), [Deliver]);
}

#[test]
fn a_stopped_keeper_holds_nothing() {
    let mut world = World::calm(Options::default());
    world.server_says(&Reply::Fails);
    world.app_meets(world.request(1), NoResponse);
    world.app_meets(world.request(2), Unauthorized);
    let _ = world.input(Input::Stop);
    assert_eq!((world.said_of(1), world.said_of(2)), ([Deliver].into(), [Deliver].into()));
    world.app_meets(world.request(3), Unauthorized);
    assert_eq!(world.said_of(3), [Deliver]);
}

#[test]
fn a_request_sent_before_the_sign_in_of_now_is_sent_again_with_its_token() {
    let mut world = World::calm(Options::default());
    let before = AppRequest { replay: Replay::AfterUnauthorized, ..world.request(1) };
    let _ = world.input(sign_in());
    world.pass(1_000);
    let since = world.now();
    world.app_meets(before, Unauthorized);
    assert_eq!(world.said_of(1), [Send]);
    assert_eq!(world.sent_since(since, Probe::Verify), [], "nothing is known of the new token");
}
