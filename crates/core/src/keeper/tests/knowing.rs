//! What the keeper learns of a backend that names nothing, and what it makes of it.

use super::world::*;
use crate::{BackendRecord, Effect, Input, Label, Options, Probe, SessionState, UnixMillis};

/// A history of a backend that always agreed with itself.
fn of_one_mind() -> BackendRecord {
    BackendRecord { boot: None, accepted: 20_000, rejected: 0, at: UnixMillis(WALL) }
}

fn seconds_to_the_end(world: &mut World) -> Option<u64> {
    let _ = world.input(Input::Verify);
    world.until(130_000, |world| world.session() == SessionState::SignedOut).map(|ms| ms / 1_000)
}

#[test]
fn after_a_sign_in_six_lessons_in_two_minutes_teach_it_and_then_there_are_no_more() {
    let mut world = World::nameless();
    world.pass(330_000);
    let checks = world.sent_since(0, Probe::Verify);
    let gaps: std::vec::Vec<u64> = checks.windows(2).map(|two| (two[1] - two[0]) / 1_000).collect();
    let expected = [7..=8, 9..=11, 10..=13, 13..=16, 18..=22, 27..=33];
    assert_eq!(gaps.len(), expected.len(), "{gaps:?}");
    for (gap, expected) in gaps.iter().zip(expected) {
        assert!(expected.contains(gap), "{gaps:?}");
    }
    world.verify = answers(status(401));
    assert!(seconds_to_the_end(&mut world).is_some_and(|secs| secs <= 8));
}

#[test]
fn a_backend_that_names_its_instances_needs_no_lessons() {
    let mut world = World::signed_in(Options::default());
    world.pass(240_000);
    assert_eq!(world.sent_since(0, Probe::Verify).len(), 1);
}

#[test]
fn what_was_learned_is_kept_and_spares_the_next_page_its_lessons() {
    let mut first = World::nameless();
    first.pass(150_000);
    let kept = first.backend.expect("a record of the backend");
    assert_eq!((kept.accepted / 900, kept.rejected), (7, 0));

    let mut second = World::new(Options::default());
    second.backend = Some(kept);
    second.server_says(&answers(nameless()));
    second.record = active(1);
    let _ = second.input(Input::Start);
    second.pass(200_000);
    assert_eq!(second.sent_since(0, Probe::Verify).len(), 1);
    second.verify = answers(status(401));
    assert!(seconds_to_the_end(&mut second).is_some_and(|secs| secs <= 8));
}

#[test]
fn the_backends_history_outlives_a_sign_out() {
    let mut world = World::nameless();
    world.pass(150_000);
    let before = world.backend;
    let _ = world.input(Input::SignOut);
    world.pass(1_000);
    assert_eq!(world.backend, before);
    let _ = world.input(sign_in());
    world.pass(200_000);
    let checks = world.sent_since(world.now() - 201_000, Probe::Verify).len();
    assert_eq!(checks, 1, "it was taught again");
}

#[test]
fn a_refuted_rejection_is_written_down_and_counts_for_the_next_suspicion() {
    let mut world = World::nameless();
    world.pass(150_000);
    world.script.extend([status(401), status(401), status(401)].map(answers));
    let _ = world.input(Input::Verify);
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert!(world.backend.is_some_and(|record| record.rejected > 0));
    world.verify = answers(status(401));
    let over = seconds_to_the_end(&mut world);
    assert!(over.is_some_and(|secs| (60..=120).contains(&secs)), "{over:?}");
}

#[test]
fn refusals_of_a_store_that_is_not_ready_yet_do_not_speak_against_the_backend() {
    let mut world = World::nameless();
    world.pass(150_000);
    world.server_says(&Reply::Fails);
    world.pass(60_000);
    world.health = answers(nameless());
    world.verify = answers(nameless());
    world.script.extend([status(401)].map(answers));
    world.pass(60_000);
    assert!(world.has_logged("refuted"), "the scene was not set");
    assert!(world.backend.is_some_and(|record| record.rejected == 0));
    assert!(!world.has_logged("diagnosis"));
}

#[test]
fn a_new_boot_id_makes_a_backend_consistent_unknown_again() {
    let mut world = World::new(Options::default());
    world.backend = Some(BackendRecord { boot: Label::new("b1"), ..of_one_mind() });
    let mut well = nameless();
    well.server.boot = Label::new("b2");
    world.server_says(&answers(well));
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    world.verify = answers(status(401));
    let over = seconds_to_the_end(&mut world);
    assert!(over.is_some_and(|secs| (51..=60).contains(&secs)), "{over:?}");
}

#[test]
fn in_a_confirmation_no_six_seconds_have_more_than_three_requests() {
    for reply in [status(401), weakly_rejected(), rejected("a", "1")] {
        let mut world = World::nameless();
        world.pass(25_000);
        world.verify = answers(reply);
        // The app's own requests are rejected as well, and it reports each of them.
        for _ in 0..130 {
            let _ = world.input(Input::Report { status: 401 });
            world.pass(1_000);
        }
        let sent: std::vec::Vec<u64> = world.sent.iter().map(|(at, ..)| *at).collect();
        for four in sent.windows(4).filter(|four| four[0] > 26_000) {
            assert!(four[3] - four[0] >= 6_000, "{reply:?}: {four:?}");
        }
        assert_eq!(world.session(), SessionState::SignedOut, "{reply:?}");
    }
}

#[test]
fn a_request_that_is_rejected_while_an_older_check_is_accepted_is_checked_after_it() {
    let mut world = World::signed_in(Options::default());
    world.pass(60_000);
    world.script.push_back(Reply::Slow(2_000, well("a", "1")));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Report { status: 401 });
    let suspect = world.until(5_000, |world| world.session() == SessionState::Suspect);
    assert!(suspect.is_some_and(|ms| ms <= 1_100), "{suspect:?}");
}

#[test]
fn a_record_of_the_backend_that_comes_late_or_again_changes_no_session() {
    let mut world = World::nameless();
    for _ in 0..3 {
        let effects = world.input(Input::Backend(of_one_mind()));
        assert!(effects.iter().all(|effect| matches!(effect, Effect::Notify(_))), "{effects:?}");
        assert_eq!(world.session(), SessionState::SignedIn);
    }
}
