//! Each cause is named when it is there, and not when it only looks like it.

use super::world::*;
use crate::{
    BackendRecord, Cause, Diagnosis, Duration, Event, Input, Label, Options, OriginRelation,
    PageEvent, Probe, Reason, Record, Response, ServerState, SessionState, StoredSession,
    TokenFacts, TokenKind, UnixMillis,
};

fn found(world: &World) -> std::vec::Vec<Cause> {
    let causes = world.events().filter_map(|event| match event {
        Event::Diagnosed { found: Diagnosis { cause, .. } } => Some(*cause),
        _ => None,
    });
    causes.collect()
}

fn evidence(world: &World, wanted: Cause) -> Diagnosis {
    let mut found = world.events().filter_map(|event| match event {
        Event::Diagnosed { found } if found.cause == wanted => Some(*found),
        _ => None,
    });
    found.next().unwrap_or_else(|| panic!("{wanted:?} was not found"))
}

fn up(boot: &str, secs: u64) -> Response {
    let mut response = well("a", boot);
    response.server.uptime = Some(Duration::from_secs(secs));
    response
}

#[test]
fn a_rejection_that_is_refuted_means_that_workers_disagree() {
    let mut world = World::nameless();
    world.pass(15_000);
    world.script.extend([status(401), status(401)].map(answers));
    let _ = world.input(Input::Verify);
    world.pass(20_000);
    assert_eq!(found(&world), [Cause::WorkersDisagree]);
    assert_eq!(evidence(&world, Cause::WorkersDisagree).count, 2);
    let _ = world.input(Input::Verify);
    world.script.extend([status(401)].map(answers));
    world.pass(20_000);
    assert_eq!(found(&world).len(), 1, "it was told twice");
}

#[test]
fn one_instance_that_changes_its_mind_is_no_quarrel_of_workers() {
    let mut world = World::signed_in(Options::default());
    world.pass(60_000);
    world.script.push_back(answers(rejected("a", "1")));
    let _ = world.input(Input::Verify);
    world.pass(10_000);
    assert!(world.has_logged("refuted"));
    assert_eq!(found(&world), []);

    world.script.push_back(answers(rejected("b", "1")));
    let _ = world.input(Input::Verify);
    world.pass(10_000);
    assert_eq!(found(&world), [Cause::WorkersDisagree]);
}

#[test]
fn a_request_that_a_platform_holds_until_the_server_is_there_is_a_wake_up() {
    let mut world = World::new(Options::default());
    world.server_says(&Reply::Slow(40_000, nameless()));
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(39_000);
    world.server_says(&answers(nameless()));
    world.pass(20_000);
    let found = evidence(&world, Cause::ServerSleeps);
    assert_eq!((found.count, found.length), (1, Duration::from_secs(40)));
}

#[test]
fn a_platforms_errors_after_a_pause_are_a_wake_up_and_in_the_middle_of_pings_they_are_not() {
    for (pause, expected) in [(true, 1), (false, 0)] {
        let mut world = World::signed_in(Options::default());
        if pause {
            world.page(PageEvent::Suspended);
            world.stall(600_000);
        }
        world.server_says(&answers(html(503)));
        if pause {
            world.page(PageEvent::Resumed);
        }
        world.pass(45_000);
        world.server_says(&answers(well("b", "2")));
        world.pass(60_000);
        assert_eq!(found(&world).len(), expected, "{:?}", found(&world));
    }
}

#[test]
fn a_server_that_was_up_all_the_time_and_only_slow_did_not_sleep() {
    let mut world = World::new(Options::default());
    world.server_says(&Reply::Slow(20_000, up("1", 9_000)));
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(60_000);
    assert!(world.has_logged("held"), "the scene was not set");
    assert_eq!(found(&world), []);
    // Again and again, it is the health path that waits for something.
    world.pass(120_000);
    assert_eq!(found(&world), [Cause::SlowHealth]);
}

#[test]
fn a_laptop_that_wakes_before_its_network_is_no_server_that_sleeps() {
    let mut world = World::signed_in(Options::default());
    world.sleep(8 * 3_600_000);
    world.server_says(&Reply::Fails);
    world.pass(20_000);
    world.server_says(&answers(well("a", "1")));
    world.pass(60_000);
    assert_eq!(found(&world), []);
}

#[test]
fn tokens_that_do_not_survive_a_restart_are_told_from_a_key_that_does_not() {
    for (kind, cause) in
        [(TokenKind::Opaque, Cause::TokensLost), (TokenKind::Signed, Cause::SigningKeyChanged)]
    {
        let mut world = World::new(Options::default());
        world.record = Record::Session(StoredSession {
            facts: TokenFacts { kind, ..TokenFacts::default() },
            ..stored(1)
        });
        let _ = world.input(Input::Start);
        world.pass(60_000);
        world.health = answers(well("b", "2"));
        world.verify = answers(rejected("b", "2"));
        world.pass(60_000);
        assert_eq!(world.session(), SessionState::SignedOut);
        assert_eq!(found(&world), [cause]);
    }
}

#[test]
fn a_restart_while_the_page_was_closed_is_seen_by_what_was_kept_of_the_backend() {
    let mut world = World::new(Options::default());
    let boot = Label::new("1");
    let at = UnixMillis(WALL - 86_400_000);
    world.backend = Some(BackendRecord { boot, accepted: 5_000, rejected: 0, at });
    world.record = active(1);
    world.health = answers(well("b", "2"));
    world.verify = answers(rejected("b", "2"));
    let _ = world.input(Input::Start);
    world.pass(70_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert_eq!(found(&world), [Cause::TokensLost]);
}

#[test]
fn a_token_that_is_revoked_long_after_a_restart_is_not_lost() {
    let mut world = World::signed_in(Options::default());
    world.pass(60_000);
    world.server_says(&answers(well("b", "2")));
    world.pass(60_000);
    world.verify = answers(rejected("b", "2"));
    let _ = world.input(Input::Verify);
    world.pass(60_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert_eq!(found(&world), []);
}

#[test]
fn a_server_that_starts_three_times_in_half_an_hour_is_in_a_loop() {
    for named in [true, false] {
        let mut world = World::signed_in(Options::default());
        for start in 2..5 {
            let boot = std::format!("{start}");
            let mut fresh = up(&boot, 1);
            if !named {
                fresh.server.boot = None;
                fresh.server.instance = None;
                // What is known of the uptime comes from the answer before.
                let mut old = fresh;
                old.server.uptime = Some(Duration::from_secs(100));
                world.server_says(&answers(old));
                world.pass(40_000);
            }
            world.server_says(&answers(fresh));
            world.pass(100_000);
        }
        let count = evidence(&world, Cause::RestartLoop).count;
        assert_eq!(count, 3, "named: {named}");
    }
}

#[test]
fn a_clock_that_is_minutes_off_is_named_and_one_that_is_seconds_off_is_not() {
    for (off, expected) in [(59_000, 0), (120_000, 1)] {
        let mut world = World::new(Options::default());
        let mut ahead = well("a", "1");
        ahead.server.now = Some(UnixMillis(WALL + off));
        world.server_says(&answers(ahead));
        let _ = world.input(Input::Start);
        world.pass(10);
        assert_eq!(found(&world).len(), 0);
        world.pass(100);
        assert_eq!(found(&world).len(), expected);
    }
}

#[test]
fn a_verify_path_that_is_missing_or_never_an_api_is_wrong_but_not_one_that_was_right() {
    for (verify, status) in [(status(404), 404), (html(200), 200)] {
        let mut world = World::new(Options::default());
        world.verify = answers(verify);
        world.record = active(1);
        let _ = world.input(Input::Start);
        world.pass(300_000);
        let found = evidence(&world, Cause::WrongPath);
        assert_eq!((found.status, found.probe), (status, Some(Probe::Verify)));

        let mut right = World::signed_in(Options::default());
        right.verify = answers(verify);
        let _ = right.input(Input::Verify);
        right.pass(300_000);
        assert_eq!(self::found(&right), []);
    }
}

#[test]
fn a_health_path_that_is_missing_while_tokens_are_verified_is_wrong() {
    let mut world = World::new(Options::default());
    world.health = answers(status(404));
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(60_000);
    let found = evidence(&world, Cause::WrongPath);
    assert_eq!((found.status, found.probe), (404, Some(Probe::Health)));
}

#[test]
fn a_verify_path_of_another_origin_that_never_answers_while_health_does_is_blocked() {
    for (origin_relation, expected) in
        [(OriginRelation::CrossOrigin, 1), (OriginRelation::SameOrigin, 0)]
    {
        let mut world = World::new(Options { origin_relation, ..Options::default() });
        world.verify = Reply::Fails;
        world.record = active(1);
        let _ = world.input(Input::Start);
        world.pass(300_000);
        let blocked = found(&world).iter().filter(|it| **it == Cause::BlockedByCors).count();
        assert_eq!(blocked, expected);
        assert_eq!(world.session(), SessionState::Unverified);
    }
}

#[test]
fn an_auth_function_that_fails_says_nothing_about_the_network() {
    let options = Options { origin_relation: OriginRelation::CrossOrigin, ..Options::default() };
    let mut world = World::signed_in(options);
    world.verify = Reply::NotSent;
    let since = world.now();
    let _ = world.input(Input::Verify);
    world.pass(300_000);
    assert_eq!(found(&world), []);
    assert_eq!(world.server(), ServerState::Awake);
    assert_eq!(world.session(), SessionState::SignedIn);
    let is_not_sent =
        |event: &Event| matches!(event, Event::Kept { why: Reason::NotSent, status: None });
    let told = world.events().filter(|event| is_not_sent(event)).count();
    assert!((3..20).contains(&told), "tried again with a backoff: {told} times in 5 minutes");
    assert_eq!(world.sent_since(since, Probe::Verify).len(), told);
    world.verify = answers(well("a", "one"));
    let verified =
        world.until(300_000, |world| matches!(world.events().last(), Some(Event::Verified { .. })));
    assert!(verified.is_some());
}

#[test]
fn a_verify_path_that_answers_no_longer_while_health_does_is_blocked_within_45_seconds() {
    let options = Options { origin_relation: OriginRelation::CrossOrigin, ..Options::default() };
    let mut world = World::signed_in(options);
    // Such as a 401 that a proxy sends without CORS headers.
    world.verify = Reply::Fails;
    let _ = world.input(Input::Verify);
    let named = world.until(45_000, |world| found(world) == [Cause::BlockedByCors]);
    assert!(named.is_some());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_verify_path_of_a_server_that_is_away_is_not_blocked() {
    let options = Options { origin_relation: OriginRelation::CrossOrigin, ..Options::default() };
    let mut away = World::new(options);
    away.server_says(&Reply::Fails);
    away.record = active(1);
    let _ = away.input(Input::Start);
    away.pass(300_000);
    assert_eq!(found(&away), []);
}

#[test]
fn a_restart_that_only_the_health_path_tells_of_is_seen_where_the_rejection_comes_first() {
    for up in [None, Some(1)] {
        let mut world = World::nameless();
        let reported = |boot: &str, secs: Option<u64>| {
            let mut health = nameless();
            health.server.boot = Label::new(boot).filter(|_| up.is_none());
            health.server.uptime = secs.map(Duration::from_secs);
            answers(health)
        };
        world.health = reported("1", up.map(|_| 500));
        world.pass(40_000);
        world.health = reported("2", up.map(|_| 1));
        world.verify = answers(status(401));
        let _ = world.input(Input::Verify);
        world.pass(90_000);
        assert_eq!(world.session(), SessionState::SignedOut);
        assert_eq!(found(&world), [Cause::TokensLost], "{up:?}");
    }
}
