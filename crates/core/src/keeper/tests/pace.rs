//! No storms: what a keeper sends in any misconfiguration is bounded, and it never falls silent.

use super::world::*;
use crate::{Body, Input, Options, Probe, Response, SessionState};

const HOUR: u64 = 3_600_000;

/// What is sent in the second hour of something that never recovers: (pings, verifications).
fn second_hour(options: Options, health: &Reply, verify: &Reply) -> (World, usize, usize) {
    let mut world = World::signed_in(options);
    world.health = health.clone();
    world.verify = verify.clone();
    let _ = world.input(Input::Verify);
    world.pass(HOUR);
    let start = world.now();
    world.pass(HOUR);
    let pings = world.sent_since(start, Probe::Health).len();
    let verifications = world.sent_since(start, Probe::Verify).len();
    (world, pings, verifications)
}

#[test]
fn a_verify_path_that_fails_for_ever_while_health_is_fine_is_no_storm() {
    let slow = Reply::Slow(15_000, well("a", "1"));
    let replies =
        [answers(html(503)), answers(html(200)), answers(patient(503, 5)), Reply::Fails, slow];
    for verify in replies {
        let health = answers(well("a", "1"));
        let (world, pings, verifications) = second_hour(Options::default(), &health, &verify);
        assert!((100..=240).contains(&pings), "{verify:?}: {pings} pings");
        assert!((8..=120).contains(&verifications), "{verify:?}: {verifications} verifications");
        assert_eq!(world.session(), SessionState::SignedIn);
    }
}

#[test]
fn a_slow_verify_path_is_waited_for_and_not_cut_off_again_and_again() {
    let mut world = World::signed_in(Options::default());
    world.verify = Reply::Slow(15_000, well("a", "1"));
    let _ = world.input(Input::Verify);
    let before = world.wall();
    let seen = world.until(120_000, |world| {
        world.keeper.snapshot().last_verified_at.is_some_and(|at| at.0 > before)
    });
    assert!(seen.is_some(), "a slow answer never arrived");
}

#[test]
fn a_health_path_that_fails_for_ever_while_verify_is_fine_is_no_storm() {
    for health in [answers(status(404)), answers(html(200)), answers(html(503)), Reply::Fails] {
        let verify = answers(well("a", "1"));
        let (world, pings, verifications) = second_hour(Options::default(), &health, &verify);
        assert!((8..=600).contains(&pings), "{health:?}: {pings} pings");
        assert!((10..=60).contains(&verifications), "{health:?}: {verifications}");
        assert_eq!(world.session(), SessionState::SignedIn);
    }
}

#[test]
fn weak_401s_for_ever_without_a_health_proof_are_no_storm_and_no_end() {
    for verify in [answers(weakly_rejected()), answers(html(401))] {
        for health in [answers(html(503)), Reply::Silence] {
            let (world, pings, verifications) = second_hour(Options::default(), &health, &verify);
            assert!(pings <= 600, "{verify:?} {health:?}: {pings} pings");
            assert!((8..=60).contains(&verifications), "{verify:?} {health:?}: {verifications}");
            assert!(world.sign_outs().is_empty());
        }
    }
}

#[test]
fn a_confirmation_that_gets_no_verdict_calms_down_and_is_never_given_up() {
    let stuck = [status(500), status(403), status(404), html(503), html(200)];
    for verify in stuck.map(answers).into_iter().chain([Reply::Fails, Reply::Silence]) {
        let mut world = World::signed_in(Options::default());
        world.script.push_back(answers(rejected("a", "1")));
        world.verify = verify.clone();
        let _ = world.input(Input::Verify);
        world.pass(HOUR);
        assert_eq!(world.session(), SessionState::Suspect);
        let start = world.now();
        world.pass(HOUR);
        let asked = world.sent_since(start, Probe::Verify).len();
        assert!((30..=300).contains(&asked), "{verify:?}: {asked}");
        world.verify = answers(well("a", "1"));
        world.pass(130_000);
        assert_eq!(world.session(), SessionState::SignedIn, "{verify:?}");
    }
}

#[test]
fn a_dead_server_is_asked_rarely_and_the_session_is_kept() {
    for reply in [Reply::Fails, answers(html(502)), answers(html(200)), answers(status(540))] {
        for options in [Options::default(), without_health()] {
            let (world, pings, verifications) = second_hour(options, &reply, &reply);
            assert!((10..=240).contains(&(pings + verifications)), "{pings} and {verifications}");
            assert_eq!(world.session(), SessionState::SignedIn);
        }
    }
}

#[test]
fn an_endpoint_that_always_says_401_is_no_storm() {
    let mut world = World::signed_in(Options::default());
    let start = world.now();
    for _ in 0..3_600 {
        let _ = world.input(Input::Report { status: 401 });
        world.pass(1_000);
    }
    assert!((340..=375).contains(&world.sent_since(start, Probe::Verify).len()));
}

#[test]
fn a_sign_out_path_that_fails_for_ever_is_no_storm_and_no_bad_spell() {
    for reply in [Reply::Fails, Reply::Silence, answers(html(503))] {
        let mut world = World::signed_in(Options { tell_sign_out: true, ..Options::default() });
        world.sign_out = reply.clone();
        let _ = world.input(Input::SignOut);
        world.pass(HOUR);
        assert!(!world.events().any(|it| matches!(
            it,
            crate::Event::Server { before: crate::ServerState::Awake, .. }
        )));
        let start = world.now();
        world.pass(HOUR);
        let reported = world.sent_since(start, Probe::SignOut).len();
        assert!((8..=16).contains(&reported), "{reply:?}: {reported}");
    }
}

#[test]
fn a_captive_portal_for_hours_ends_nothing() {
    let portal = Response { redirected: true, body: Body::Html, ..Response::default() };
    let (world, ..) = second_hour(Options::default(), &answers(portal), &answers(portal));
    assert_eq!(world.session(), SessionState::SignedIn);
}
