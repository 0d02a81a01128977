//! Ordinary backends, and what they say in place of 200 and 401: problem details, error objects,
//! pages, redirects, 403 for ever, no health path at all.

use std::vec::Vec;

use super::world::*;
use crate::{
    Body, CANDIDATES, Cause, Challenge, Classified, Duration, Event, Input, Label, Notice, Options,
    Probe, Response, ServerState, SessionState, TokenFacts, UnixMillis,
};

fn found(world: &World) -> Vec<Cause> {
    let causes = world.events().filter_map(|event| match event {
        Event::Diagnosed { found } => Some(found.cause),
        _ => None,
    });
    causes.collect()
}

fn started(options: Options, verify: &Reply) -> World {
    let mut world = World::new(options);
    world.verify = verify.clone();
    world.record = active(1);
    let _ = world.input(Input::Start);
    world
}

fn object(status: u16, body: Body) -> Reply {
    answers(Response { status, body, ..Response::default() })
}

fn revoked(world: &mut World) {
    world.verify = answers(status(401));
    world.script.clear();
    let over = world.until(400_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some(), "the opposite in the same setting: a revoked session must end");
}

// Facts from bodies.

#[test]
fn problem_details_name_no_worker_and_are_judged_by_statistics() {
    let mut world = World::nameless();
    let problem = Response { body: Body::Problem, server: facts("/auth/me", "b1"), ..status(401) };
    world.verify = answers(problem);
    let _ = world.input(Input::Verify);
    let over = world.until(90_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some_and(|ms| ms > 8_500), "the path was taken for an instance: {over:?}");
    let end = world.sign_outs().remove(0);
    assert!(end.rejections.iter().all(|it| it.instance.is_none() && it.boot.is_none()));
    assert_eq!(world.keeper.instances().count(), 0);
}

#[test]
fn a_tenant_called_instance_and_a_now_in_a_profile_are_nobodys_names() {
    let mut world = World::new(Options::default());
    world.health = answers(nameless());
    let mut profile = nameless();
    profile.server.instance = Label::new("tenant-7");
    profile.server.now = Some(UnixMillis(5));
    world.verify = answers(profile);
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(60_000);
    assert_eq!(world.keeper.instances().count(), 0);
    assert_eq!(found(&world), []);
}

#[test]
fn a_health_path_that_tells_the_time_in_seconds_is_no_clock_that_is_off() {
    let mut world = World::new(Options::default());
    let mut health = well("a", "1");
    health.server.now = Some(UnixMillis(WALL / 1_000));
    world.health = answers(health);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    assert_eq!(found(&world), []);
}

// The first answers in a page.

#[test]
fn a_first_answer_that_decides_nothing_is_asked_again_soon_and_not_in_five_minutes() {
    let odd = [status(500), html(403), html(404), status(403), status(418)];
    for reply in odd.map(answers).into_iter().chain([Reply::Fails]) {
        let mut world = started(Options::default(), &reply);
        let asked = |world: &World| world.sent_since(0, Probe::Verify).len();
        let again = world.until(10_000, |world| asked(world) >= 2);
        assert!(again.is_some_and(|ms| ms >= 2_000), "{reply:?}: {again:?}");
        world.verify = answers(well("a", "1"));
        let accepted = world.until(60_000, |world| world.session() == SessionState::SignedIn);
        assert!(accepted.is_some(), "{reply:?}");
    }
}

#[test]
fn a_first_429_is_asked_again_after_what_it_asks_for() {
    let mut world = started(Options::default(), &answers(patient(429, 7)));
    world.pass(1_000);
    world.verify = answers(well("a", "1"));
    let accepted = world.until(60_000, |world| world.session() == SessionState::SignedIn);
    assert!(accepted.is_some_and(|ms| (6_000..=9_500).contains(&ms)), "{accepted:?}");
}

#[test]
fn a_path_that_never_decides_is_asked_less_and_less() {
    let mut world = started(Options::default(), &answers(status(500)));
    world.pass(3_600_000);
    let sent = world.sent_since(0, Probe::Verify).len();
    assert!((12..=24).contains(&sent), "{sent} in an hour");
    assert_eq!(world.session(), SessionState::Unverified);
}

// A visitor who is nobody.

#[test]
fn whatever_the_api_says_without_a_user_ends_the_question_silently() {
    let empty = |status| Response { status, body: Body::Empty, ..Response::default() };
    let null = Response { body: Body::Json, ..Response::default() };
    let error = Response { body: Body::ErrorObject, ..Response::default() };
    let redirect = Response { redirected: true, ..empty(0) };
    for response in [status(401), status(403), redirect, null, empty(204), error, status(404)] {
        let mut world = World::new(cookie());
        world.verify = answers(response);
        let _ = world.input(Input::Start);
        world.pass(12_000);
        assert_eq!(world.session(), SessionState::SignedOut, "{response:?}");
        assert!(world.sign_outs().is_empty() && !world.has_logged("kept"), "{response:?}");
        assert!(!world.notices().any(|notice| *notice == Notice::Forbidden), "{response:?}");
    }
}

#[test]
fn while_the_server_wakes_up_a_visitor_is_neither_in_nor_out() {
    for reply in [answers(html(503)), answers(html(403)), answers(html(401)), Reply::Fails] {
        let mut world = World::new(cookie());
        world.server_says(&reply);
        let _ = world.input(Input::Start);
        world.pass(60_000);
        assert_eq!(world.session(), SessionState::Restoring, "{reply:?}");
        assert_eq!(world.server(), ServerState::Waking, "{reply:?}");
        world.server_says(&answers(well("a", "1")));
        world.verify = answers(rejected("a", "1"));
        let out = world.until(60_000, |world| world.session() == SessionState::SignedOut);
        assert!(out.is_some(), "{reply:?}");
    }
}

#[test]
fn a_session_that_answers_403_for_ever_is_named_with_the_option_that_ends_it() {
    let mut world = World::signed_in(cookie());
    world.verify = answers(status(403));
    let _ = world.input(Input::Verify);
    let named = world.until(60_000, |world| found(world) == [Cause::UnclearRejection]);
    assert!(named.is_some());
    assert_eq!(world.session(), SessionState::SignedIn);
    let classified = Some(Classified::Rejected);
    world.verify = answers(Response { classified, ..status(403) });
    let over = world.until(120_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some());
}

// Answers that are no users.

#[test]
fn an_error_object_with_200_is_no_user_and_is_named_at_once() {
    let mut world = started(Options::default(), &object(200, Body::ErrorObject));
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::Unverified);
    assert_eq!(found(&world), [Cause::UnclearRejection]);
    world.verify = answers(well("a", "1"));
    assert!(world.until(30_000, |world| world.session() == SessionState::SignedIn).is_some());
}

#[test]
fn a_page_with_403_or_404_is_not_the_api_speaking() {
    for reply in [answers(html(403)), answers(html(404))] {
        let mut world = World::signed_in(Options::default());
        world.server_says(&reply);
        let _ = world.input(Input::Verify);
        world.pass(5_000);
        assert_eq!(world.server(), ServerState::Waking, "{reply:?}");
        assert!(!world.notices().any(|notice| *notice == Notice::Forbidden));
    }
}

#[test]
fn a_login_page_behind_a_redirect_is_named_where_verification_was_accepted_before() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(Response { redirected: true, ..html(0) });
    let _ = world.input(Input::Verify);
    world.pass(60_000);
    assert_eq!(found(&world), [Cause::LoginRedirect]);
    assert_eq!((world.session(), world.server()), (SessionState::SignedIn, ServerState::Awake));
    assert!(!world.has_logged("misconfigured"));
    revoked(&mut world);
}

#[test]
fn a_path_that_only_redirects_is_wrong() {
    let mut world = started(Options::default(), &answers(Response { redirected: true, ..html(0) }));
    world.pass(60_000);
    assert_eq!(found(&world), [Cause::WrongPath]);
}

// A wall in front.

#[test]
fn an_apis_own_401_with_a_password_challenge_ends_the_session_where_health_is_fine() {
    let mut world = World::nameless();
    let challenge = Challenge::Password;
    world.verify = answers(Response { challenge, ..status(401) });
    let _ = world.input(Input::Verify);
    let over = world.until(90_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some_and(|ms| ms <= 60_000), "{over:?}");
}

#[test]
fn a_wall_in_front_of_everything_ends_nothing_and_is_named() {
    for health in [Some(()), None] {
        let options = if health.is_some() { Options::default() } else { without_health() };
        let mut world = World::signed_in(options);
        let challenge = Challenge::Password;
        world.server_says(&answers(Response { challenge, ..html(401) }));
        let _ = world.input(Input::Verify);
        world.pass(3_600_000);
        assert!(world.sign_outs().is_empty(), "health: {health:?}");
        if health.is_some() {
            assert!(found(&world).contains(&Cause::Gateway));
        }
        world.server_says(&answers(well("a", "1")));
        world.pass(400_000);
        assert_eq!(world.session(), SessionState::SignedIn);
    }
}

// Stored answers.

#[test]
fn an_answer_out_of_a_cache_neither_verifies_nor_proves_the_server_awake() {
    let age = Some(Duration::from_secs(30));
    let stored = Response { age, ..well("a", "1") };
    let mut world = started(Options::default(), &answers(stored));
    world.health = answers(stored);
    world.pass(10_000);
    assert_eq!(world.session(), SessionState::Unverified);
    assert!(found(&world).contains(&Cause::StaleAnswers));
    let before = world.keeper.snapshot().last_verified_at;
    assert_eq!(before, None);
    world.server_says(&answers(well("a", "1")));
    assert!(world.until(60_000, |world| world.session() == SessionState::SignedIn).is_some());
}

#[test]
fn a_service_worker_that_answers_with_the_same_date_is_found_out() {
    let date = Some(UnixMillis(WALL));
    let mut world = World::signed_in(Options::default());
    world.verify = answers(Response { date, ..well("a", "1") });
    world.pass(1_300_000);
    assert!(found(&world).contains(&Cause::StaleAnswers));
    assert!(!found(&world).contains(&Cause::ClockSkew), "a false cause was named");
}

// One server, one opinion.

fn states(world: &World) -> usize {
    world.notices().filter(|notice| matches!(notice, Notice::Server { .. })).count()
}

#[test]
fn a_blocked_health_path_moves_nothing_while_verification_is_accepted_and_is_named() {
    for health in [Reply::Fails, answers(html(503)), answers(html(403))] {
        let mut world = World::new(Options::default());
        world.health = health.clone();
        world.record = active(1);
        let _ = world.input(Input::Start);
        world.pass(600_000);
        assert_eq!(world.server(), ServerState::Awake, "{health:?}");
        assert!(states(&world) <= 4, "{health:?}: the state flaps ({})", states(&world));
        assert_eq!(found(&world).len(), 1, "{health:?}: {:?}", found(&world));
        revoked(&mut world);
    }
}

#[test]
fn a_verify_path_that_fails_alone_moves_nothing_after_its_first_failure() {
    for verify in [Reply::Fails, answers(status(503)), answers(html(200)), answers(html(404))] {
        let mut world = World::signed_in(Options::default());
        world.verify = verify.clone();
        let before = states(&world);
        world.pass(1_800_000);
        assert_eq!(world.server(), ServerState::Awake, "{verify:?}");
        assert!(states(&world) - before <= 2, "{verify:?}: {} changes", states(&world) - before);
        // The opposite: when both fail the server is away.
        world.server_says(&Reply::Fails);
        let away = world.until(60_000, |world| world.server() == ServerState::Waking);
        assert!(away.is_some(), "{verify:?}");
    }
}

#[test]
fn a_revoked_session_ends_though_the_health_path_is_blocked_and_the_401_is_text() {
    let mut world = World::new(Options::default());
    world.health = Reply::Fails;
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(200_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    world.verify = answers(weakly_rejected());
    let _ = world.input(Input::Verify);
    let over = world.until(300_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some_and(|ms| ms <= 121_000), "{over:?}");
}

#[test]
fn the_apps_own_answers_prove_the_server_awake() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&Reply::Fails);
    world.pass(60_000);
    assert_eq!(world.server(), ServerState::Waking);
    let _ = world.input(Input::AppProof);
    assert_eq!(world.server(), ServerState::Awake);
}

#[test]
fn where_the_owner_must_act_probes_stay_slow() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&answers(html(540)));
    world.pass(35_000);
    let start = world.now();
    world.pass(600_000);
    let pings = world.sent_since(start, Probe::Health);
    assert!(pings.windows(2).all(|pair| pair[1] - pair[0] >= 30_000), "{pings:?}");
}

// A backend without a health path, or with another verify path.

#[test]
fn a_tutorials_backend_without_a_health_path_is_awake_and_warned_of_once() {
    let mut world = World::new(Options::default());
    world.health = answers(status(404));
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(3_600_000);
    assert_eq!(world.server(), ServerState::Awake);
    assert_eq!(found(&world), [Cause::WrongPath]);
    let pings = world.sent_since(0, Probe::Health).len();
    assert!(pings <= 20, "{pings} pings of a path that is not there in an hour");
}

#[test]
fn a_404_page_of_the_health_path_is_no_wake_up_for_ever() {
    let mut signed_out = World::new(Options::default());
    signed_out.health = answers(html(404));
    let _ = signed_out.input(Input::Start);
    signed_out.pass(300_000);
    assert_eq!(signed_out.server(), ServerState::Unknown);
    let mut signed_in = World::new(Options::default());
    signed_in.health = answers(html(404));
    signed_in.record = active(1);
    let _ = signed_in.input(Input::Start);
    signed_in.pass(300_000);
    assert_eq!(signed_in.server(), ServerState::Awake);
}

#[test]
fn a_verify_path_that_is_not_there_is_answered_with_the_name_of_the_right_one() {
    let mut world = started(Options::default(), &answers(status(404)));
    let right = CANDIDATES.iter().position(|path| *path == "/users/me").expect("it is usual");
    world.candidates[right] = answers(status(401));
    world.pass(60_000);
    let named: Vec<Option<crate::Candidate>> = world
        .events()
        .filter_map(|event| match event {
            Event::WrongPath { candidate, .. } => Some(*candidate),
            _ => None,
        })
        .collect();
    assert_eq!(named, [Some(crate::Candidate(right as u8))]);
    let asked = world.sent.iter().filter(|(_, probe, _)| matches!(probe, Probe::Candidate(_)));
    assert_eq!(asked.count(), right + 1, "each is asked once");
    assert_eq!(world.session(), SessionState::Unverified, "nothing is switched silently");
}

// Expiry on this device.

#[test]
fn a_token_that_is_older_than_its_lifetime_on_this_device_is_over_within_8_seconds() {
    for lifetime in [Some(secs(900)), None] {
        let mut world = World::new(Options::default());
        world.server_says(&answers(nameless()));
        world.verify = answers(status(401));
        world.record = crate::Record::Session(crate::StoredSession {
            facts: TokenFacts { lifetime, ..TokenFacts::default() },
            saved_at: Some(UnixMillis(WALL - 3_600_000)),
            ..stored(1)
        });
        let _ = world.input(Input::Start);
        let over = world.until(90_000, |world| world.session() == SessionState::SignedOut);
        let reason = world.sign_outs().remove(0).reason;
        if lifetime.is_some() {
            assert!(over.is_some_and(|ms| ms <= 8_000), "{over:?}");
            assert_eq!(reason, crate::SignOutReason::Expired);
        } else {
            assert!(over.is_some_and(|ms| ms > 20_000), "{over:?}");
            assert_eq!(reason, crate::SignOutReason::Rejected);
        }
    }
}

#[test]
fn a_lifetime_that_is_over_ends_nothing_by_itself() {
    let mut world = World::new(Options::default());
    world.record = crate::Record::Session(crate::StoredSession {
        facts: TokenFacts { lifetime: Some(secs(1)), ..TokenFacts::default() },
        saved_at: Some(UnixMillis(WALL - 3_600_000)),
        ..stored(1)
    });
    let _ = world.input(Input::Start);
    world.sleep(86_400_000);
    world.pass(60_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

// Verifications that the app asks for, and the record.

#[test]
fn a_verification_that_the_app_asks_for_is_not_answered_by_one_that_is_under_way() {
    let mut world = World::signed_in(Options::default());
    world.verify = Reply::Slow(3_000, well("a", "1"));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    let before = world.notices().filter(|notice| **notice == Notice::Settled).count();
    let _ = world.input(Input::Verify);
    let settled = |world: &World| {
        world.notices().filter(|notice| **notice == Notice::Settled).count() > before
    };
    world.pass(2_500);
    assert!(!settled(&world), "the older answer was taken for the newer one");
    assert!(world.until(10_000, settled).is_some());
}

#[test]
fn the_record_learns_of_each_verification() {
    let mut world = World::signed_in(Options::default());
    world.pass(400_000);
    let at = world.keeper.snapshot().last_verified_at;
    let crate::Record::Session(stored) = &world.record else { panic!("a session is stored") };
    assert_eq!(stored.verified_at, at);
}

#[test]
fn a_sign_out_in_another_tab_is_found_before_the_next_verification_goes_out() {
    let mut world = World::signed_in(Options::default());
    world.record = tombstone(1);
    let start = world.now();
    let over = world.until(400_000, |world| world.session() == SessionState::SignedOut);
    assert!(over.is_some());
    assert!(world.sent_since(start, Probe::Verify).is_empty(), "it was asked all the same");
    assert!(world.sign_outs()[0].from_other_tab);
}

// The start of a confirmation says how long it may take.

#[test]
fn a_confirmation_says_how_long_it_takes_at_most_and_why() {
    let outlook = |world: &World| {
        world.events().find_map(|event| match event {
            Event::Suspect { limit, basis, .. } => Some((limit.as_millis() / 1_000, *basis)),
            _ => None,
        })
    };
    let mut known = World::signed_in(Options::default());
    known.pass(200_000);
    known.verify = answers(rejected("a", "1"));
    let _ = known.input(Input::Verify);
    known.pass(1_000);
    assert_eq!(outlook(&known), Some((8, crate::Basis::Instances)));
    let mut unknown = World::nameless();
    unknown.verify = answers(status(401));
    let _ = unknown.input(Input::Verify);
    unknown.pass(1_000);
    assert_eq!(outlook(&unknown), Some((60, crate::Basis::Unknown)));
    let mut blind = World::signed_in(without_health());
    blind.verify = answers(weakly_rejected());
    let _ = blind.input(Input::Verify);
    blind.pass(1_000);
    assert_eq!(outlook(&blind), Some((120, crate::Basis::NoHealth)));
}
