//! What counts as evidence: weak rejections, late answers, newer sign-ins.

use super::world::*;
use crate::{
    Grade, Input, Notice, Options, Outcome, Probe, Record, Rule, SessionState, SignOutReason,
};

#[test]
fn a_weak_401_counts_only_with_a_health_proof_that_was_asked_for_after_it() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(weakly_rejected());
    // A ping from before the rejection that is answered after it.
    world.health = Reply::Slow(3_000, well("a", "1"));
    world.until(40_000, |world| world.open_request(Probe::Health).is_some());
    world.health = Reply::Silence;
    let _ = world.input(Input::Verify);
    world.pass(3_500);
    assert_eq!(world.session(), SessionState::Suspect);
    world.pass(30_000);
    assert!(world.sign_outs().is_empty(), "the health proof was older than the refusal");
}

#[test]
fn weak_401s_with_health_proofs_end_the_session_within_a_minute() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(weakly_rejected());
    let _ = world.input(Input::Verify);
    let over = world.until(90_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some_and(|ms| (51_000..=60_000).contains(&ms)), "{over:?}");
    let end = world.sign_outs().remove(0);
    assert_eq!((end.reason, end.rule), (SignOutReason::Rejected, Some(Rule::Limit)));
    assert!(end.rejections.iter().all(|rejection| rejection.grade == Grade::Weak));
}

#[test]
fn a_platforms_401_page_while_the_server_wakes_is_no_evidence() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&answers(html(401)));
    let _ = world.input(Input::Verify);
    world.pass(3_600_000);
    assert!(world.sign_outs().is_empty());
    world.server_says(&answers(well("a", "2")));
    world.pass(130_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_proxys_challenge_never_counts_however_often_it_comes() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(challenged_by_a_proxy());
    for _ in 0..100 {
        let _ = world.input(Input::Verify);
        world.pass(10_000);
        assert_eq!(world.session(), SessionState::SignedIn);
    }
}

#[test]
fn a_late_answer_about_an_earlier_token_changes_nothing() {
    let mut world = World::signed_in(Options::default());
    world.verify = Reply::Silence;
    let _ = world.input(Input::Verify);
    let Some(request) = world.open_request(Probe::Verify) else { panic!("nothing was asked") };
    let _ = world.input(sign_in());
    let late = Outcome::Response(rejected("a", "1"));
    let effects = world.input(Input::Answer { request, outcome: late });
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(world.session(), SessionState::Unverified);
}

#[test]
fn an_answer_is_seen_once_and_one_to_an_aborted_or_unknown_request_never() {
    let mut world = World::signed_in(Options::default());
    world.verify = Reply::Silence;
    let _ = world.input(Input::Verify);
    let Some(request) = world.open_request(Probe::Verify) else { panic!("nothing was asked") };
    let _ = world.input(Input::Stop);
    let before = world.keeper.snapshot();
    for request in [request, crate::RequestId(u32::MAX)] {
        let outcome = Outcome::Response(rejected("a", "1"));
        assert!(world.input(Input::Answer { request, outcome }).is_empty());
    }
    assert_eq!(world.keeper.snapshot(), before);
}

#[test]
fn an_answer_to_a_question_without_a_session_says_nothing_of_one_that_began_meanwhile() {
    let mut world = World::new(cookie());
    world.verify = Reply::Silence;
    let _ = world.input(Input::Start);
    world.pass(100);
    let Some(request) = world.open_request(Probe::Verify) else { panic!("nothing was asked") };
    world.record = active(1);
    let _ = world.input(Input::TabMessage(crate::Message::Written));
    world.pass(10);
    assert_eq!(world.session(), SessionState::Unverified);
    let _ = world.input(Input::Answer { request, outcome: Outcome::Response(well("a", "1")) });
    assert_eq!(world.session(), SessionState::Unverified);
}

#[test]
fn a_sign_in_during_a_confirmation_begins_a_session_that_nobody_suspects() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(3_000);
    assert_eq!(world.session(), SessionState::Suspect);
    world.verify = answers(well("a", "1"));
    let _ = world.input(sign_in());
    assert_eq!(world.session(), SessionState::Unverified);
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert!(world.sign_outs().is_empty());
}

#[test]
fn a_newer_sign_in_of_another_tab_found_on_record_voids_the_refusal() {
    let mut world = World::signed_in(Options::default());
    world.record = active(2);
    world.script.push_back(answers(rejected("a", "1")));
    let _ = world.input(Input::Verify);
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert_eq!(world.keeper.generation(), Some(generation(2)));
    assert!(world.has_logged("rejection-ignored"));
    assert!(!world.has_logged("suspect"));
}

#[test]
fn a_store_that_hangs_delays_a_verdict_by_two_seconds_and_no_more() {
    let mut world = World::signed_in(Options::default());
    world.store_answers = false;
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    let suspect = world.until(10_000, |world| world.session() == SessionState::Suspect);
    assert!(suspect.is_some_and(|ms| (2_000..=2_100).contains(&ms)), "{suspect:?}");
    let over = world.until(20_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some_and(|ms| ms <= 8_000), "{over:?}");
}

#[test]
fn everybody_is_told_once_and_the_record_becomes_a_tombstone() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(60_000);
    assert_eq!(world.sign_outs().len(), 1);
    let Record::Tombstone { generation: ended, sign_out, undelivered } = &world.record else {
        panic!("no tombstone: {:?}", world.record)
    };
    assert_eq!((*ended, *undelivered), (generation(1), false));
    assert_eq!(Some(sign_out), world.keeper.sign_out());
    assert!(world.notices().any(|notice| matches!(notice, Notice::SignedOut(_))));
    let after = world.now();
    world.pass(3_600_000);
    assert!(world.sent_since(after, Probe::Verify).is_empty(), "a dead token is still sent");
}
