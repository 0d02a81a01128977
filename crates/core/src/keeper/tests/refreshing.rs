//! Refreshed tokens: nobody is signed out because a token ran out.

use std::vec::Vec;

use super::world::*;
use crate::{
    AppAction, AppEvent, AppRequest, AppRequestId, Credential, Destination, Duration, Effect,
    Generation, Input, NewToken, Notice, Options, PageEvent, Probe, Record, RefreshOptions, Replay,
    Response, Rule, SessionState, SignOutReason, TokenFacts, TokenHandle, UnixMillis,
};

const HOUR: u64 = 3_600_000;

pub(super) fn options() -> Options {
    let refresh = Some(RefreshOptions { margin: None, needs_token: true });
    Options { refresh, ..Options::default() }
}

/// A token that lives that long, from now on this device.
pub(super) fn lives(ms: u64) -> TokenFacts {
    TokenFacts {
        lifetime: Some(Duration::from_millis(ms)),
        has_refresh_token: true,
        ..TokenFacts::default()
    }
}

pub(super) fn sign_in_for(ms: u64) -> Input {
    Input::SignIn { token: Some(TokenHandle(1)), facts: lives(ms) }
}

impl World {
    /// Signed in and verified, with tokens that live that long.
    fn refreshing(ms: u64) -> Self {
        Self::refreshing_with(options(), ms)
    }

    fn refreshing_with(options: Options, ms: u64) -> Self {
        let mut world = Self::new(options);
        world.new_token = Some(lives(ms));
        let _ = world.input(Input::Start);
        world.pass(100);
        let _ = world.input(sign_in_for(ms));
        world.pass(1_000);
        assert_eq!(world.session(), SessionState::SignedIn);
        world
    }

    fn rejects_refresh(&mut self) {
        self.refresh = answers(status(401));
        self.new_token = None;
    }

    fn count(&self, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.notices().filter(|notice| wanted(notice)).count()
    }

    fn refreshed(&self) -> usize {
        self.count(|notice| *notice == Notice::Refreshed)
    }

    fn app_request(&self, id: u32) -> AppRequest {
        AppRequest {
            id: AppRequestId(id),
            replay: Replay::AfterUnauthorized,
            destination: Destination::Api,
            resource: id,
            sent_with: self.keeper.generation().map(Generation::tag),
        }
    }

    fn app(&mut self, request: AppRequest, event: AppEvent) {
        let _ = self.input(Input::AppRequest { request, event });
    }

    fn actions(&self, id: u32) -> Vec<AppAction> {
        let actions = self.orders.iter().filter_map(|(_, effect)| match effect {
            Effect::AppRequest { request, action } if request.0 == id => Some(*action),
            _ => None,
        });
        actions.collect()
    }
}

#[test]
fn a_token_is_refreshed_ahead_of_its_expiry_and_the_session_stays_the_same() {
    let mut world = World::refreshing(12 * HOUR);
    let verified_at = world.keeper.snapshot().last_verified_at;
    assert!(verified_at.is_some());
    world.verify = Reply::Silence;
    let (start, before) = (world.now(), world.keeper.generation());
    world.pass(10 * HOUR);
    assert_eq!(world.refreshed(), 0);
    world.pass(HOUR);
    assert_eq!((world.refreshed(), world.sent_since(start, Probe::Refresh).len()), (1, 1));
    let after = world.keeper.generation();
    assert_eq!(after.map(|it| it.number), before.map(|it| it.number + 1));
    assert_eq!(world.count(|it| matches!(it, Notice::SignedIn { .. })), 1, "no sign-in");
    assert!(matches!(&world.record, Record::Session(stored) if Some(stored.generation) == after));
}

#[test]
fn a_newer_token_is_stored_before_the_old_one_is_forgotten() {
    let mut world = World::refreshing(60_000);
    let before = world.keeper.generation().expect("signed in");
    world.until(60_000, |it| it.refreshed() == 1).expect("it is refreshed");
    let after = world.keeper.generation().expect("signed in");
    let at = |wanted: &dyn Fn(&Effect) -> bool| {
        world.orders.iter().rposition(|(_, effect)| wanted(effect)).expect("it is there")
    };
    let used = at(&|it| matches!(it, Effect::UseToken { generation, .. } if *generation == after));
    let stored = at(&|it| matches!(it, Effect::Store { generation, .. } if *generation == after));
    let forgot = at(&|it| matches!(it, Effect::Forget { generation } if *generation == before));
    assert!(used < stored && stored < forgot);
}

#[test]
fn the_attempt_is_stored_before_it_is_sent_and_stays_the_same_until_there_is_an_answer() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Fails;
    world.until(120_000, |it| it.refreshes.len() == 4).expect("it is repeated");
    let (_, generation, attempt) = world.refreshes[0];
    assert!(world.refreshes.iter().all(|it| (it.1, it.2) == (generation, attempt)));
    let at = |wanted: &dyn Fn(&Effect) -> bool| {
        world.orders.iter().position(|(_, effect)| wanted(effect)).expect("it is there")
    };
    let stored = at(&|it| matches!(it, Effect::StoreAttempt { .. }));
    let sent = at(&|it| matches!(it, Effect::Refresh { .. }));
    assert!(stored < sent);
    world.refresh = answers(nameless());
    world.until(120_000, |it| it.refreshed() == 1).expect("it is refreshed");
    world.until(120_000, |it| it.refreshed() == 2).expect("it is refreshed");
    let (_, _, next) = world.refreshes.last().expect("there are some");
    assert_ne!(*next, attempt, "another token is another attempt");
}

#[test]
fn a_page_that_is_loaded_in_the_middle_of_a_refresh_repeats_its_attempt() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Silence;
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    let mut reloaded = World::new(options());
    reloaded.record = world.record.clone();
    reloaded.set_clock(i64::try_from(world.wall()).expect("it is a time") - WALL as i64);
    reloaded.new_token = Some(lives(60_000));
    let _ = reloaded.input(Input::Start);
    reloaded.until(10_000, |it| it.refreshed() == 1).expect("it is refreshed");
    assert_eq!(reloaded.refreshes[0].2, world.refreshes[0].2);
    assert_eq!(reloaded.refreshes[0].1, world.refreshes[0].1);
}

#[test]
fn a_token_past_its_expiry_is_kept_while_the_refresh_gets_no_verdict() {
    for reply in [
        Reply::Fails,
        Reply::Silence,
        answers(html(200)),
        answers(status(403)),
        answers(status(404)),
        answers(status(500)),
        answers(html(503)),
        answers(patient(429, 30)),
    ] {
        let mut world = World::refreshing(60_000);
        world.refresh = reply.clone();
        world.new_token = None;
        world.verify = answers(rejected("a", "1"));
        let start = world.now();
        world.pass(2 * HOUR);
        assert_eq!(world.sign_outs(), [], "{reply:?}");
        assert_eq!(world.session(), SessionState::SignedIn, "{reply:?}");
        let sent = world.sent_since(start, Probe::Refresh).len();
        assert!((20..600).contains(&sent), "{sent} attempts: {reply:?}");
        world.refresh = answers(nameless());
        world.new_token = Some(lives(60_000));
        world.verify = answers(well("a", "1"));
        world.until(120_000, |it| it.refreshed() == 1).expect("it is refreshed in the end");
    }
}

#[test]
fn a_rejected_refresh_ends_the_session_within_eight_seconds_with_the_reason() {
    for (code, is_invalid_grant) in [(401, false), (400, true)] {
        let mut world = World::refreshing(240_000);
        world.rejects_refresh();
        world.refresh = answers(status(code));
        world.is_invalid_grant = is_invalid_grant;
        world.until(240_000, |it| it.refreshes.len() == 1).expect("it is sent");
        let took = world.until(8_000, |it| !it.sign_outs().is_empty()).expect("it ends in time");
        assert!(took >= 6_000, "{took}");
        let end = world.sign_outs().remove(0);
        assert_eq!((end.reason, end.rule), (SignOutReason::Rejected, Some(Rule::RefreshRejected)));
        assert_eq!(end.rejections.iter().map(|it| it.status).collect::<Vec<_>>(), [code, code]);
        assert!(matches!(world.record, Record::Tombstone { .. }));
    }
}

#[test]
fn a_rejected_refresh_of_a_token_that_has_run_out_says_expired() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Fails;
    world.pass(120_000);
    world.rejects_refresh();
    world.until(100_000, |it| !it.sign_outs().is_empty()).expect("it ends");
    assert_eq!(world.sign_outs()[0].reason, SignOutReason::Expired);
}

#[test]
fn one_rejection_among_acceptances_ends_nothing() {
    let mut world = World::refreshing(60_000);
    world.rejects_refresh();
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    world.pass(1_000);
    world.refresh = answers(nameless());
    world.new_token = Some(lives(60_000));
    world.until(8_000, |it| it.refreshed() == 1).expect("the repeat is accepted");
    world.pass(30_000);
    assert_eq!(world.sign_outs(), []);
}

#[test]
fn a_rejection_counts_for_nothing_where_another_tab_has_refreshed_meanwhile() {
    let mut world = World::refreshing(60_000);
    world.rejects_refresh();
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    let number = world.keeper.generation().expect("signed in").number + 1;
    let facts = lives(60_000);
    let saved_at = Some(UnixMillis(world.wall()));
    world.record = Record::Session(crate::StoredSession { facts, saved_at, ..stored(number) });
    world.pass(30_000);
    assert_eq!(world.sign_outs(), []);
    assert_eq!(world.keeper.generation().map(|it| it.number), Some(number));
}

#[test]
fn a_401_of_verify_starts_a_refresh_and_suspects_nobody() {
    let mut world = World::refreshing(12 * HOUR);
    world.script.push_back(answers(rejected("a", "1")));
    let _ = world.input(Input::Verify);
    let mut suspected = false;
    for _ in 0..100 {
        world.pass(10);
        suspected |= world.session() == SessionState::Suspect;
    }
    assert!(!suspected);
    assert_eq!(world.refreshed(), 1);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_server_that_refuses_the_refreshed_token_as_well_is_believed() {
    let mut world = World::refreshing(12 * HOUR);
    world.server_says(&answers(well("a", "1")));
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.until(9_000, |it| !it.sign_outs().is_empty()).expect("it ends in time");
    assert_eq!(world.sign_outs()[0].rule, Some(Rule::Instances));
    assert_eq!(world.refreshes.len(), 1);
}

#[test]
fn a_token_that_runs_out_while_a_rejection_is_confirmed_is_refreshed_first() {
    let mut world = World::refreshing(6_000);
    world.until(6_000, |it| it.refreshed() == 1).expect("it is refreshed");
    world.pass(1_000);
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.until(1_000, |it| it.session() == SessionState::Suspect).expect("it rests");
    world.until(6_000, |it| it.refreshed() == 2).expect("it is refreshed all the same");
    world.verify = answers(well("a", "1"));
    world.until(10_000, |it| it.session() == SessionState::SignedIn).expect("it is accepted");
    assert_eq!(world.sign_outs(), []);
}

#[test]
fn a_401_of_the_app_starts_a_refresh_and_the_request_is_sent_once_more() {
    let mut world = World::refreshing(12 * HOUR);
    world.pass(20_000);
    let request = world.app_request(1);
    world.app(request, AppEvent::Unauthorized);
    assert_eq!(world.actions(1), []);
    world.until(1_000, |it| !it.actions(1).is_empty()).expect("it is sent again");
    assert_eq!((world.actions(1), world.refreshed()), (std::vec![AppAction::Send], 1));
    assert_ne!(world.app_request(1).sent_with, request.sent_with);
    // It was on its way meanwhile, with the older token.
    world.app(AppRequest { id: AppRequestId(2), ..request }, AppEvent::Unauthorized);
    assert_eq!(world.actions(2), [AppAction::Send], "at once");
    assert_eq!(world.refreshes.len(), 1);
}

#[test]
fn a_request_waits_for_a_newer_token_where_the_present_one_has_run_out() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Fails;
    world.pass(120_000);
    assert!(world.keeper.has_run_out() && !world.keeper.may_send());
    let request = world.app_request(1);
    world.app(request, AppEvent::Ready);
    world.pass(5_000);
    assert_eq!(world.actions(1), []);
    world.refresh = answers(nameless());
    world.until(61_000, |it| !it.actions(1).is_empty()).expect("it is sent");
    assert_eq!(world.actions(1), [AppAction::Send]);
    assert_eq!(world.refreshed(), 1);
}

#[test]
fn every_request_that_waits_for_a_refresh_is_answered_within_its_bound() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Silence;
    world.pass(120_000);
    world.app(world.app_request(1), AppEvent::Ready);
    world.app(world.app_request(2), AppEvent::Unauthorized);
    let took = world.until(91_000, |it| !it.actions(1).is_empty()).expect("it is answered");
    assert!(took >= 89_000, "{took}");
    assert_eq!(
        (world.actions(1), world.actions(2)),
        (std::vec![AppAction::Send], std::vec![AppAction::Deliver])
    );
}

#[test]
fn a_token_that_has_run_out_already_or_is_the_old_one_is_no_storm() {
    for (facts, is_same) in [(lives(0), false), (lives(12 * HOUR), true), (lives(1), false)] {
        let mut world = World::refreshing(60_000);
        (world.new_token, world.is_same) = (Some(facts), is_same);
        world.verify = answers(rejected("a", "1"));
        let start = world.now();
        world.pass(300_000);
        let sent = world.sent_since(start, Probe::Refresh);
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 10_000), "{sent:?}");
    }
}

#[test]
fn tokens_of_six_seconds_are_refreshed_before_each_runs_out() {
    let mut world = World::refreshing(6_000);
    for _ in 0..6_000 {
        world.pass(10);
        assert!(!world.keeper.has_run_out(), "at {}", world.now());
    }
    assert!(world.refreshed() >= 9);
    assert_eq!(world.sign_outs(), []);
}

#[test]
fn a_night_asleep_ends_nothing_and_the_token_is_replaced_after_the_wake_up() {
    let mut world = World::refreshing(HOUR);
    let verify = world.verify.clone();
    world.verify = answers(rejected("a", "1"));
    world.sleep(24 * HOUR);
    world.until(40_000, |it| it.refreshed() == 1).expect("it is refreshed");
    world.verify = verify;
    world.until(10_000, |it| it.session() == SessionState::SignedIn).expect("it is accepted");
    assert_eq!(world.sign_outs(), []);
}

#[test]
fn an_answer_that_comes_after_a_night_asleep_is_taken() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Slow(2_000, nameless());
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    world.sleep(8 * HOUR);
    world.pass(2_500);
    assert_eq!((world.refreshed(), world.refreshes.len()), (1, 1));
}

#[test]
fn a_server_that_is_back_is_asked_at_once() {
    let mut world = World::refreshing(60_000);
    world.server_says(&Reply::Fails);
    world.refresh = Reply::Fails;
    world.pass(HOUR);
    world.server_says(&answers(well("a", "1")));
    world.refresh = answers(nameless());
    let awake = world.until(60_000, |it| it.server() == crate::ServerState::Awake);
    assert!(awake.is_some());
    world.until(1_000, |it| it.refreshed() == 1).expect("at the first sign of life");
    assert_eq!(world.sign_outs(), []);
}

#[test]
fn a_token_that_the_app_renews_is_the_same_session() {
    let mut world = World::refreshing(HOUR);
    let before = world.keeper.generation();
    let facts = lives(2 * HOUR);
    let _ = world.input(Input::Renew(NewToken { token: TokenHandle(5), facts, is_same: false }));
    assert_ne!(world.keeper.generation(), before);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert_eq!((world.refreshed(), world.refreshes.len()), (1, 0));
    assert_eq!(world.count(|it| matches!(it, Notice::SignedIn { .. })), 1);
    let remaining = world.keeper.token_remaining();
    assert_eq!(remaining, Some(Duration::from_millis(2 * HOUR)));
}

#[test]
fn a_cookie_is_refreshed_without_a_token() {
    let refresh = Some(RefreshOptions { margin: None, needs_token: false });
    let options = Options { refresh, credential: Credential::Cookie, ..Options::default() };
    let mut world = World::new(options);
    let facts = TokenFacts { has_refresh_token: false, ..lives(60_000) };
    world.new_token = Some(facts);
    let _ = world.input(Input::Start);
    let _ = world.input(Input::SignIn { token: Some(TokenHandle(1)), facts });
    world.until(60_000, |it| it.refreshed() == 1).expect("it is refreshed");
    world.refresh = answers(Response { body: crate::Body::Empty, ..status(204) });
    world.until(60_000, |it| it.refreshed() == 2).expect("it is refreshed by a 204");
}

#[test]
fn without_a_way_to_refresh_everything_is_as_before() {
    let without_token = TokenFacts { has_refresh_token: false, ..lives(60_000) };
    for (options, facts) in [(Options::default(), lives(60_000)), (options(), without_token)] {
        let mut world = World::new(options);
        let _ = world.input(Input::Start);
        let _ = world.input(Input::SignIn { token: Some(TokenHandle(1)), facts });
        world.pass(120_000);
        assert!(world.keeper.may_send());
        assert_eq!((world.refreshes.len(), world.keeper.next_refresh()), (0, None));
    }
}

#[test]
fn a_sign_out_gives_a_refresh_up_and_its_answer_changes_nothing() {
    let mut world = World::refreshing(60_000);
    world.refresh = Reply::Slow(2_000, nameless());
    world.until(60_000, |it| it.refreshes.len() == 1).expect("it is sent");
    let request = world.open_request(Probe::Refresh).expect("it is under way");
    let _ = world.input(Input::SignOut);
    assert!(world.open_request(Probe::Refresh).is_none());
    let token = Some(NewToken { token: TokenHandle(9), facts: lives(1), is_same: false });
    let outcome = crate::Outcome::Response(nameless());
    let answer = crate::RefreshAnswer { outcome, is_invalid_grant: false, token };
    let effects = world.input(Input::RefreshAnswer { request, answer });
    assert!(effects.contains(&Effect::DropToken { token: TokenHandle(9) }));
    assert_eq!(world.session(), SessionState::SignedOut);
}

#[test]
fn a_hidden_page_that_nobody_looks_at_refreshes_when_it_is_seen_again() {
    let mut world = World::refreshing(HOUR);
    world.page(PageEvent::Hidden);
    world.pass(5 * HOUR);
    assert_eq!(world.refreshes.len(), 0);
    world.page(PageEvent::Visible);
    world.until(6_000, |it| it.refreshed() == 1).expect("it is refreshed");
    assert_eq!(world.sign_outs(), []);
}

#[test]
fn the_app_may_ask_for_a_newer_token() {
    let mut world = World::refreshing(HOUR);
    let _ = world.input(Input::Refresh);
    world.pass(200);
    assert_eq!(world.refreshed(), 1);
}
