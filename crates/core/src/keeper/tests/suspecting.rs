//! From the first rejection to the end of a session, or of a confirmation.

use std::vec::Vec;

use super::world::*;
use crate::{
    Chance, Confirm, Grade, Input, Options, Probe, Rule, SessionState, SignOut, SignOutReason,
    StoredSession, TokenFacts, UnixMillis,
};

/// Asks now and tells how long it took to suspect and to sign out.
fn verdict(world: &mut World) -> (Option<u64>, Option<u64>) {
    let _ = world.input(Input::Verify);
    let start = world.now();
    let suspect = world.until(2_000, |world| world.session() == SessionState::Suspect);
    let over = world.until(200_000, |world| world.session() == SessionState::SignedOut);
    (suspect, over.map(|_| world.now() - start))
}

fn only_sign_out(world: &World) -> SignOut {
    let mut ends = world.sign_outs();
    assert_eq!(ends.len(), 1);
    ends.remove(0)
}

#[test]
fn a_genuine_401_of_the_one_known_instance_is_suspect_at_once_and_over_within_eight_seconds() {
    let mut world = World::signed_in(Options::default());
    world.pass(60_000);
    world.verify = answers(rejected("a", "1"));
    let (suspect, over) = verdict(&mut world);
    assert!(suspect.is_some_and(|ms| ms <= TRIP + 20), "{suspect:?}");
    assert!(over.is_some_and(|ms| (6_000..=8_000).contains(&ms)), "{over:?}");
    let end = only_sign_out(&world);
    assert_eq!((end.reason, end.rule), (SignOutReason::Rejected, Some(Rule::Instances)));
    assert_eq!(end.rejections.len(), 2);
    assert!(end.rejections.iter().all(|rejection| rejection.status == 401));
    assert!(end.rejections.iter().all(|rejection| rejection.grade == Grade::Strong));
    assert!(end.rejections.iter().all(|rejection| rejection.instance.is_some()));
    let (first, last) = (end.rejections[0].at, end.rejections[1].at);
    assert!(last.0 - first.0 >= 6_000);
    assert!(!end.from_other_tab);
}

#[test]
fn a_backend_without_names_that_is_consistent_is_confirmed_by_a_second_burst() {
    let mut world = World::nameless();
    world.pass(150_000);
    world.verify = answers(status(401));
    let (_, over) = verdict(&mut world);
    assert!(over.is_some_and(|ms| (6_000..=8_000).contains(&ms)), "{over:?}");
    let end = only_sign_out(&world);
    assert_eq!(end.rule, Some(Rule::Chance));
    assert!(end.chance.is_some_and(|chance| chance < Chance::of(0.001)), "{:?}", end.chance);
}

#[test]
fn a_backend_without_names_that_nobody_knows_takes_a_minute_and_no_longer() {
    let mut world = World::nameless();
    world.verify = answers(status(401));
    let (_, over) = verdict(&mut world);
    assert!(over.is_some_and(|ms| (51_000..=60_000).contains(&ms)), "{over:?}");
    let end = only_sign_out(&world);
    assert_eq!(end.rule, Some(Rule::Limit));
    assert!(end.chance.is_some_and(|chance| chance > Chance::of(0.001)), "{:?}", end.chance);
}

#[test]
fn one_of_two_instances_refusing_is_not_enough_and_an_accepting_answer_ends_the_suspicion() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(30_000);
    assert_eq!(world.session(), SessionState::Suspect);
    world.script.push_back(answers(well("b", "1")));
    world.pass(7_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert!(world.has_logged("refuted"));
    assert!(world.sign_outs().is_empty());
}

#[test]
fn when_both_of_two_instances_have_rejected_twice_over_it_is_over() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    for name in ["a", "a", "b", "b", "b", "a", "a"] {
        world.script.push_back(answers(rejected(name, "1")));
    }
    world.verify = answers(status(503));
    let (_, over) = verdict(&mut world);
    // b rejects first in the second burst: twice in one burst is once.
    assert!(over.is_some_and(|ms| (12_000..=13_000).contains(&ms)), "{over:?}");
    assert_eq!(only_sign_out(&world).rule, Some(Rule::Instances));
}

#[test]
fn a_rejection_without_a_name_does_not_stand_in_for_an_instance_that_was_never_asked() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    world.script.push_back(answers(status(401)));
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(40_000);
    assert_eq!(world.session(), SessionState::Suspect);
}

#[test]
fn an_instance_that_cannot_be_reached_holds_a_sign_out_up_for_a_minute_and_no_longer() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    world.verify = answers(rejected("a", "1"));
    let (_, over) = verdict(&mut world);
    assert!(over.is_some_and(|ms| (51_000..=60_000).contains(&ms)), "{over:?}");
    assert_eq!(only_sign_out(&world).rule, Some(Rule::Limit));
    assert_eq!(only_sign_out(&world).rejections.len(), 16, "evidence is bounded");
}

#[test]
fn a_backend_caught_disagreeing_with_itself_takes_two_minutes_and_no_longer() {
    let confirm = Confirm::Below(Chance::of(1e-9));
    let mut world = World::nameless_with(Options { confirm, ..Options::default() });
    world.script.extend((0..3).map(|_| answers(status(401))));
    let _ = world.input(Input::Verify);
    world.pass(20_000);
    assert!(world.has_logged("refuted"));
    world.verify = answers(status(401));
    let (_, over) = verdict(&mut world);
    assert!(over.is_some_and(|ms| (111_000..=120_000).contains(&ms)), "{over:?}");
    assert_eq!(only_sign_out(&world).rule, Some(Rule::Limit));
}

#[test]
fn after_a_restart_the_last_rejection_comes_ten_seconds_after_it_and_the_end_within_twenty() {
    for seen_by in [Probe::Health, Probe::Verify] {
        let mut world = World::signed_in(Options::default());
        world.pass(100_000);
        world.server_says(&answers(well("n", "2")));
        world.verify = answers(rejected("n", "2"));
        if seen_by == Probe::Verify {
            let _ = world.input(Input::Verify);
        }
        world.until(40_000, |world| world.has_logged("rebooted"));
        let proven = world.now();
        let suspect = world.until(1_000, |world| world.session() == SessionState::Suspect);
        assert!(suspect.is_some_and(|ms| ms <= 2 * TRIP), "{suspect:?}");
        let _ = world.until(60_000, |world| world.session() == SessionState::SignedOut);
        let took = world.now() - proven;
        assert!((9_900..=20_000).contains(&took), "{seen_by:?}: {took}");
        let end = only_sign_out(&world);
        assert!(
            end.rejections.iter().all(|it| it.boot.as_ref().is_some_and(|b| b.as_str() == "2"))
        );
    }
}

#[test]
fn what_the_server_said_before_it_restarted_counts_for_nothing() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(50_000);
    assert_eq!(world.session(), SessionState::Suspect);
    world.server_says(&answers(well("n", "2")));
    world.script.push_back(answers(rejected("n", "2")));
    world.pass(60_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_wake_up_from_a_bad_spell_gives_the_server_ten_seconds_to_become_ready() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&Reply::Fails);
    world.pass(60_000);
    world.server_says(&answers(well("a", "1")));
    // A store that is not ready yet, under the same boot id.
    world.verify = answers(rejected("a", "1"));
    world.until(20_000, |world| world.session() == SessionState::Suspect);
    world.pass(9_500);
    assert_eq!(world.session(), SessionState::Suspect);
    world.verify = answers(well("a", "1"));
    world.pass(8_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn time_in_which_the_server_was_dead_does_not_count_towards_the_limit() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    world.script.push_back(answers(rejected("a", "1")));
    world.server_says(&Reply::Fails);
    let _ = world.input(Input::Verify);
    world.pass(300_000);
    assert_eq!(world.session(), SessionState::Suspect);
    world.health = answers(well("b", "1"));
    world.verify = answers(rejected("a", "1"));
    let back = world.until(60_000, |world| world.server() == crate::ServerState::Awake);
    assert!(back.is_some());
    world.pass(30_000);
    assert_eq!(world.session(), SessionState::Suspect, "ended by the limit at once");
}

#[test]
fn a_rejection_that_was_held_until_the_server_woke_is_not_the_limit() {
    let mut world = World::signed_in(Options::default());
    world.script.push_back(answers(rejected("a", "1")));
    world.health = Reply::Slow(80_000, well("a", "1"));
    world.verify = Reply::Slow(80_000, rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(86_500);
    assert_eq!(world.session(), SessionState::Suspect, "ended by a server that just woke up");
    world.server_says(&answers(well("a", "1")));
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn without_a_health_path_a_weak_401_is_confirmed_for_longer_than_a_platform_wakes() {
    let mut world = World::signed_in(without_health());
    world.verify = Reply::Fails;
    let _ = world.input(Input::Verify);
    world.pass(60_000);
    world.verify = answers(weakly_rejected());
    world.until(20_000, |world| world.session() == SessionState::Suspect);
    let over = world.until(150_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some_and(|ms| (111_000..=120_000).contains(&ms)), "{over:?}");
}

#[test]
fn with_the_usual_rule_the_first_genuine_401_is_the_end() {
    let mut world = World::signed_in(at_once());
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(TRIP + 1);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert_eq!(only_sign_out(&world).rule, Some(Rule::Immediate));

    let mut weak = World::signed_in(at_once());
    weak.verify = answers(weakly_rejected());
    weak.health = answers(html(503));
    weak.pass(700_000);
    assert_ne!(weak.session(), SessionState::SignedOut, "a weak 401 without proof was believed");
}

#[test]
fn a_token_that_has_run_out_by_the_servers_clock_is_over_after_one_repeat_with_that_reason() {
    let expiry = UnixMillis(WALL + 5 * 3_600_000);
    // The browser is six hours behind, then six hours ahead of the server.
    for (skew, reason) in [(6, SignOutReason::Expired), (-6, SignOutReason::Rejected)] {
        let mut world = World::new(Options::default());
        let server_now = UnixMillis(WALL.saturating_add_signed(skew * 3_600_000));
        world.record = crate::Record::Session(StoredSession {
            facts: TokenFacts { expires_at: Some(expiry), ..TokenFacts::default() },
            ..stored(1)
        });
        let mut healthy = well("a", "1");
        healthy.server.now = Some(server_now);
        world.health = answers(healthy);
        let _ = world.input(Input::Start);
        world.pass(10_000);
        assert_eq!(world.session(), SessionState::SignedIn, "the clock alone ended the session");
        world.verify = answers(rejected("a", "1"));
        let (_, over) = verdict(&mut world);
        assert!(over.is_some_and(|ms| ms <= 8_000), "{over:?}");
        assert_eq!(only_sign_out(&world).reason, reason);
    }
}

#[test]
fn a_browser_clock_that_nobody_corrected_calls_no_token_expired() {
    let mut world = World::new(Options::default());
    let expires_at = Some(UnixMillis(WALL - 1));
    world.record = crate::Record::Session(StoredSession {
        facts: TokenFacts { expires_at, ..TokenFacts::default() },
        ..stored(1)
    });
    let _ = world.input(Input::Start);
    world.pass(60_000);
    assert!(!world.keeper.has_run_out());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn confirmation_asks_in_bursts_of_at_most_three_requests_six_seconds_apart() {
    let mut world = World::signed_in(Options::default());
    world.health = answers(well("b", "1"));
    world.pass(40_000);
    let start = world.now() + TRIP;
    world.verify = answers(rejected("a", "1"));
    let _ = verdict(&mut world);
    let sent = world.sent_since(start, Probe::Verify);
    let mut bursts: Vec<(u64, usize)> = Vec::new();
    for at in sent {
        match bursts.last_mut() {
            Some((last, size)) if *last == at => *size += 1,
            _ => bursts.push((at, 1)),
        }
    }
    assert!(bursts.iter().all(|(_, size)| *size <= 3));
    assert!(bursts.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 6_000), "{bursts:?}");
}
