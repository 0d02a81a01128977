//! What a review found: backends whose health path can prove nothing, stores that answer late,
//! tokens that live on, visitors of whom no answer tells.

use std::vec::Vec;

use super::world::*;
use crate::{
    Body, Cause, Challenge, Duration, Event, Input, Notice, Options, PageEvent, Probe, Record,
    Response, ServerState, SessionState, SignOutReason, StoredSession, TokenFacts, UnixMillis,
};

fn text(status: u16) -> Response {
    Response { status, body: Body::Other, ..Response::default() }
}

fn found(world: &World) -> Vec<Cause> {
    let causes = world.events().filter_map(|event| match event {
        Event::Diagnosed { found } => Some(found.cause),
        _ => None,
    });
    causes.collect()
}

fn started(options: Options, health: Reply, verify: Reply) -> World {
    let mut world = World::new(options);
    (world.health, world.verify) = (health, verify);
    world.record = active(1);
    let _ = world.input(Input::Start);
    world
}

/// Health answers that will never prove the server awake, and are no sign of a wake-up.
fn useless_health() -> [Response; 7] {
    let stored = Response { age: Some(Duration::from_secs(30)), ..well("a", "1") };
    let redirect = Response { redirected: true, ..html(0) };
    [html(404), text(404), html(200), status(401), html(429), redirect, stored]
}

#[test]
fn a_returning_user_with_a_revoked_token_is_signed_out_whatever_the_health_path_answers() {
    for health in useless_health() {
        let mut world = started(Options::default(), answers(health), answers(text(401)));
        let over = world.until(200_000, |world| world.session() == SessionState::SignedOut);
        assert!(over.is_some_and(|ms| ms <= 125_000), "{health:?}: {over:?}");
        let warned = world.events().filter(|event| event.code() == "suspect").count();
        assert_eq!(warned, 1, "{health:?}");
    }
}

#[test]
fn a_session_that_is_revoked_ends_in_two_minutes_whatever_the_health_path_answers() {
    for health in useless_health() {
        let mut world = started(Options::default(), answers(health), answers(well("a", "1")));
        world.pass(60_000);
        assert_eq!(world.session(), SessionState::SignedIn, "{health:?}");
        world.verify = answers(text(401));
        let _ = world.input(Input::Verify);
        let over = world.until(200_000, |world| world.session() == SessionState::SignedOut);
        assert!(over.is_some_and(|ms| ms <= 121_000), "{health:?}: {over:?}");
    }
}

#[test]
fn weak_rejections_that_nothing_backs_are_asked_for_less_and_less() {
    for health in [html(401), html(503)] {
        let mut world = started(Options::default(), answers(health), answers(html(401)));
        world.pass(3_600_000);
        assert!(world.sign_outs().is_empty(), "{health:?}");
        let sent = world.sent_since(0, Probe::Verify).len();
        assert!(sent <= 60, "{health:?}: {sent} in an hour");
        let warned = world.events().filter(|event| event.code() == "suspect").count();
        assert!(warned <= 1, "{health:?}: {warned} warnings");
    }
}

#[test]
fn a_server_that_dies_after_one_lost_ping_is_noticed() {
    let mut world = World::signed_in(Options::default());
    world.health = Reply::Fails;
    world.pass(40_000);
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    assert_eq!(world.server(), ServerState::Awake);
    world.server_says(&Reply::Fails);
    let away = world.until(130_000, |world| world.server() != ServerState::Awake);
    assert!(away.is_some(), "it stays awake");
    assert_eq!(found(&world), []);
}

#[test]
fn a_lost_request_of_the_app_finds_out_a_dead_server_though_health_is_blocked() {
    let mut world = started(Options::default(), Reply::Fails, answers(well("a", "1")));
    world.pass(200_000);
    assert_eq!(world.server(), ServerState::Awake);
    world.server_says(&Reply::Fails);
    let _ = world.input(Input::Unanswered);
    let away = world.until(2_000, |world| world.server() != ServerState::Awake);
    assert!(away.is_some());
}

#[test]
fn a_sign_out_while_the_store_is_silent_ends_the_session_that_it_brings_late() {
    for by_late_answer in [true, false] {
        let mut world = World::new(Options::default());
        world.store_answers = false;
        world.record = active(5);
        let _ = world.input(Input::Start);
        world.pass(3_000);
        let _ = world.input(Input::SignOut);
        if by_late_answer {
            world.store_answers_in(1);
            world.pass(10);
        }
        world.store_answers = true;
        let _ = world.input(Input::RecordChanged);
        world.pass(5_000);
        assert_eq!(world.session(), SessionState::SignedOut, "late: {by_late_answer}");
        assert!(matches!(world.record, Record::Tombstone { .. }), "late: {by_late_answer}");
    }
}

#[test]
fn a_sign_in_while_the_store_is_silent_stands_above_what_it_brings_late() {
    let mut world = World::new(Options::default());
    world.store_answers = false;
    world.record = active(5);
    let _ = world.input(Input::Start);
    world.pass(3_000);
    let _ = world.input(sign_in());
    let ours = world.keeper.generation();
    world.record = active(5);
    world.store_answers_in(1);
    world.store_answers = true;
    world.pass(10);
    let _ = world.input(Input::RecordChanged);
    world.pass(5_000);
    assert_eq!(world.keeper.generation(), ours, "somebody else's session took over");
}

#[test]
fn a_cookie_that_was_verified_before_its_sign_out_was_known_is_ended_when_it_is() {
    let mut world = World::new(Options { tell_sign_out: true, ..cookie() });
    world.store_answers = false;
    let _ = world.input(Input::Start);
    world.pass(3_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    let Record::Tombstone { generation, sign_out, .. } = tombstone(5) else {
        panic!("a tombstone")
    };
    world.record = Record::Tombstone { generation, sign_out, undelivered: true };
    let late = world.reads[0];
    let record = world.record.clone();
    let _ = world.input(Input::Record { read: late, record });
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert_eq!(world.sent_since(0, Probe::SignOut).len(), 1);
}

#[test]
fn a_token_that_the_server_accepts_after_its_lifetime_is_not_over_by_its_age() {
    let mut world = World::new(Options::default());
    world.server_says(&answers(nameless()));
    world.record = Record::Session(StoredSession {
        facts: TokenFacts { lifetime: Some(secs(900)), ..TokenFacts::default() },
        saved_at: Some(UnixMillis(WALL - 3_600_000)),
        ..stored(1)
    });
    let _ = world.input(Input::Start);
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    world.verify = answers(status(401));
    let _ = world.input(Input::Verify);
    world.pass(9_000);
    assert_eq!(world.session(), SessionState::Suspect, "it slides: its age says nothing");
    let _ = world.until(90_000, |world| world.session() == SessionState::SignedOut);
    assert_eq!(world.sign_outs()[0].reason, SignOutReason::Rejected);
}

#[test]
fn a_health_path_that_tells_the_time_in_microseconds_tells_no_time() {
    let mut world = World::new(Options::default());
    let mut health = well("a", "1");
    health.server.now = Some(UnixMillis(WALL * 1_000));
    world.health = answers(health);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    assert_eq!(found(&world), []);
}

#[test]
fn a_visitor_is_nobody_after_three_answers_that_show_no_user() {
    let void = Response { challenge: Challenge::Foreign, ..status(401) };
    let unmodified = Response { body: Body::Empty, ..status(304) };
    for verify in [void, unmodified, html(403), html(404), html(200)] {
        let mut world = World::new(cookie());
        world.verify = answers(verify);
        let _ = world.input(Input::Start);
        let out = world.until(60_000, |world| world.session() == SessionState::SignedOut);
        assert!(out.is_some(), "{verify:?}");
        assert!(world.sign_outs().is_empty());
    }
    for (health, verify) in [(Reply::Fails, text(401)), (answers(html(404)), text(401))] {
        let mut world = World::new(cookie());
        (world.health, world.verify) = (health, answers(verify));
        let _ = world.input(Input::Start);
        let out = world.until(200_000, |world| world.session() == SessionState::SignedOut);
        assert!(out.is_some(), "{verify:?}");
        assert!(world.sent_since(0, Probe::Verify).len() <= 12, "a storm");
    }
}

#[test]
fn a_veto_that_lasts_is_named() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(Response { challenge: Challenge::Survivable, ..status(401) });
    world.pass(1_800_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert_eq!(found(&world), [Cause::UnclearRejection]);
}

#[test]
fn a_worker_that_answers_both_paths_from_its_cache_proves_no_server_awake() {
    let mut world = World::signed_in(Options::default());
    let date = Some(UnixMillis(WALL));
    world.server_says(&answers(Response { date, ..well("a", "1") }));
    world.pass(1_800_000);
    assert_ne!(world.server(), ServerState::Awake);
    assert!(found(&world).contains(&Cause::StaleAnswers));
}

#[test]
fn a_sign_out_in_a_handler_of_pagehide_is_sent() {
    let mut world = World::signed_in(Options { tell_sign_out: true, ..Options::default() });
    world.page(PageEvent::Suspended);
    let _ = world.input(Input::SignOut);
    assert_eq!(world.sent_since(0, Probe::SignOut).len(), 1);
}

#[test]
fn a_ping_changes_no_snapshot() {
    let mut world = World::signed_in(Options::default());
    let before = world.notices().filter(|notice| **notice == Notice::Changed).count();
    world.pass(200_000);
    let after = world.notices().filter(|notice| **notice == Notice::Changed).count();
    assert!(world.sent_since(0, Probe::Health).len() > 5);
    assert_eq!(after - before, 0);
}
