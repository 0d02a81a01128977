//! Time and the page: sleep, freezing, late timers, clocks that jump.

use super::world::*;
use crate::{Input, Options, PageEvent, Probe, SessionState, StoredSession, TokenFacts};

const HOUR: u64 = 3_600_000;

#[test]
fn a_night_asleep_ends_nothing_and_the_morning_begins_with_a_verification() {
    let mut world = World::signed_in(Options::default());
    world.sleep(10 * HOUR);
    let woken = world.now();
    world.pass(40_000);
    assert!(world.has_logged("slept"));
    assert!(!world.sent_since(woken, Probe::Verify).is_empty());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn an_answer_from_before_a_sleep_is_not_believed_after_it() {
    let mut world = World::signed_in(Options::default());
    world.verify = Reply::Slow(5_000, rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.verify = answers(well("a", "1"));
    world.sleep(10 * HOUR);
    world.pass(30_000);
    assert!(!world.has_logged("suspect"));
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_night_in_the_middle_of_a_confirmation_does_not_count_towards_its_limit() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::Suspect);
    world.sleep(10 * HOUR);
    world.health = answers(well("b", "1"));
    world.pass(3_000);
    // The instance that rejected is forgotten by now; the other one has the word.
    world.verify = answers(well("b", "1"));
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn timers_that_come_hours_late_are_taken_for_a_sleep() {
    let mut world = World::signed_in(Options::default());
    world.stall(5 * HOUR);
    let woken = world.now();
    let _ = world.input(Input::Timeout);
    assert!(world.has_logged("slept"));
    world.pass(10_000);
    assert!(!world.sent_since(woken, Probe::Verify).is_empty());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn timers_a_minute_late_or_much_too_early_change_nothing() {
    let mut world = World::signed_in(Options::default());
    for _ in 0..60 {
        world.stall(60_000);
        let _ = world.input(Input::Timeout);
        world.pass(100);
    }
    assert!(!world.has_logged("slept"));
    let before = world.sent.len();
    for _ in 0..1_000 {
        let effects = world.input(Input::Timeout);
        assert!(effects.is_empty(), "an early timer did something: {effects:?}");
    }
    assert_eq!(world.sent.len(), before);
}

#[test]
fn a_frozen_page_sends_nothing_and_reads_everything_again_when_it_is_back() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Verify);
    world.page(PageEvent::Suspended);
    assert!(world.open.is_empty(), "a request survived the freeze");
    assert_eq!(world.keeper.next_timeout(), None);
    let away = world.now() + 1;
    world.pass(8 * HOUR);
    assert!(world.sent.iter().all(|(at, ..)| *at < away));
    world.server_says(&answers(well("a", "1")));
    let reads = world
        .orders
        .iter()
        .filter(|(_, it)| matches!(it, crate::Effect::ReadRecord { .. }))
        .count();
    world.page(PageEvent::Resumed);
    let after = world
        .orders
        .iter()
        .filter(|(_, it)| matches!(it, crate::Effect::ReadRecord { .. }))
        .count();
    assert_eq!(after, reads + 1);
    let verified = world.until(6_000, |world| !world.sent_since(away, Probe::Verify).is_empty());
    assert!(verified.is_some());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_wall_clock_that_jumps_by_hours_signs_nobody_out_and_stops_nothing() {
    let expires_at = Some(crate::UnixMillis(WALL + HOUR));
    for jumps in [[12, -24], [-12, 24]] {
        let mut world = World::new(Options::default());
        world.record = crate::Record::Session(StoredSession {
            facts: TokenFacts { expires_at, ..TokenFacts::default() },
            ..stored(1)
        });
        let _ = world.input(Input::Start);
        for hours in jumps {
            world.set_clock(hours * HOUR as i64);
            world.pass(HOUR / 2);
            assert_eq!(world.session(), SessionState::SignedIn);
        }
        let late = world.now() - 400_000;
        assert!(!world.sent_since(late, Probe::Verify).is_empty());
        assert!(world.sent_since(late, Probe::Health).len() >= 11);
    }
}

#[test]
fn a_page_that_wakes_hidden_and_is_seen_at_once_does_not_make_anybody_wait() {
    for seed in 0..50 {
        let mut world = World::new(Options::default());
        world.keeper = crate::Keeper::new(Options::default(), seed);
        world.record = active(1);
        let _ = world.input(Input::Start);
        world.pass(1_000);
        world.verify = answers(rejected("a", "1"));
        let _ = world.input(Input::Verify);
        world.pass(1_000);
        world.page(PageEvent::Hidden);
        world.sleep(HOUR);
        let _ = world.input(Input::Timeout);
        let seen = world.now();
        world.page(PageEvent::Visible);
        world.pass(5_000 + TRIP);
        assert!(!world.sent_since(seen, Probe::Verify).is_empty());
    }
}

#[test]
fn an_answer_that_was_held_is_a_wake_up_even_where_no_timer_came_to_see_it() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&answers(rejected("a", "1")));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    world.server_says(&Reply::Silence);
    world.pass(5_400);
    let Some(request) = world.open_request(Probe::Verify) else { panic!("nothing was asked") };
    world.stall(40_000);
    let outcome = crate::Outcome::Response(rejected("a", "1"));
    let _ = world.input(Input::Answer { request, outcome });
    world.pass(1);
    assert_eq!(world.session(), SessionState::Suspect, "believed a server that just woke up");
}

#[test]
fn a_million_browsers_that_wake_at_nine_do_not_ask_in_the_same_second() {
    for (hidden, most) in [(false, 5_000), (true, 30_000)] {
        let (mut least, mut longest) = (u64::MAX, 0);
        for seed in 0..100 {
            let mut world = World::new(Options::default());
            world.keeper = crate::Keeper::new(Options::default(), seed);
            world.record = active(1);
            let _ = world.input(Input::Start);
            world.pass(1_000);
            if hidden {
                world.page(PageEvent::Hidden);
            }
            let start = world.now();
            world.page(PageEvent::Online);
            world.pass(most + 5_000);
            let first = world.sent_since(start, Probe::Verify).first().map_or(0, |at| at - start);
            (least, longest) = (least.min(first), longest.max(first));
        }
        assert!(least < most / 10 && longest > most * 9 / 10, "{least} to {longest}");
        assert!(longest <= most);
    }
}

#[test]
fn a_keeper_that_was_stopped_while_the_page_went_away_goes_on_when_it_is_back() {
    let mut world = World::signed_in(Options::default());
    let _ = world.input(Input::Stop);
    world.page(PageEvent::Suspended);
    world.pass(60_000);
    let start = world.now();
    // What the shell says of the page at each start.
    world.page(PageEvent::Resumed);
    world.page(PageEvent::Online);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    assert!(!world.sent_since(start, Probe::Health).is_empty());
    assert!(!world.sent_since(start, Probe::Verify).is_empty());
}
