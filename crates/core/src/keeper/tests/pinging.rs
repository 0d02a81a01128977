//! Keep-alive, the server's axis, and who is asked when nobody looks.

use std::vec::Vec;

use super::world::*;
use crate::{Input, PageEvent, Probe, ServerState, SessionState, WhenHidden};

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn pings_go_out_every_thirty_seconds_give_or_take_a_tenth_whether_or_not_anyone_is_signed_in() {
    for record in [active(1), crate::Record::Absent] {
        let mut world = World::new(crate::Options::default());
        world.record = record;
        let _ = world.input(Input::Start);
        world.pass(3_600_000);
        let pings = world.sent_since(0, Probe::Health);
        assert!((109..=133).contains(&pings.len()), "{} in an hour", pings.len());
        let gaps = gaps(&pings);
        assert!(gaps.iter().all(|gap| (27_000..=33_000 + TRIP).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap != gaps[0]), "no jitter");
    }
}

#[test]
fn only_verification_carries_a_credential() {
    let mut world = World::signed_in(crate::Options::default());
    world.pass(3_600_000);
    for (_, probe, generation) in &world.sent {
        assert_eq!(generation.is_some(), *probe == Probe::Verify);
    }
    assert!(world.sent_since(0, Probe::Verify).len() >= 11);
}

#[test]
fn a_held_ping_is_a_server_that_wakes_and_stays_open_until_it_answers() {
    let mut world = World::signed_in(crate::Options::default());
    world.health = Reply::Slow(75_000, well("a", "1"));
    let held = world.until(60_000, |world| world.server() == ServerState::Waking);
    assert!(held.is_some());
    let asked = world.sent_since(0, Probe::Health).len();
    world.health = answers(well("a", "1"));
    let back = world.until(70_000, |world| world.server() == ServerState::Awake);
    assert!(back.is_some_and(|ms| (64_000..=66_000).contains(&ms)), "{back:?}");
    assert_eq!(world.sent_since(0, Probe::Health).len(), asked, "a held ping was repeated");
}

#[test]
fn a_ping_that_is_never_answered_is_held_for_ten_seconds_and_given_up_after_ninety() {
    let mut world = World::signed_in(crate::Options::default());
    world.health = Reply::Silence;
    world.until(60_000, |world| world.open_request(Probe::Health).is_some());
    let held = world.until(20_000, |world| world.has_logged("held"));
    assert!(held.is_some_and(|ms| (9_900..=10_100).contains(&ms)), "{held:?}");
    let given_up = world.until(90_000, |world| world.has_logged("given-up"));
    assert!(given_up.is_some_and(|ms| (79_900..=80_100).contains(&ms)), "{given_up:?}");
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_refused_connection_is_tried_again_within_eight_seconds_for_ninety() {
    let mut world = World::signed_in(crate::Options::default());
    world.server_says(&Reply::Fails);
    world.until(60_000, |world| world.server() == ServerState::Waking);
    let start = world.now();
    world.pass(90_000);
    let pings = world.sent_since(start - 1_000, Probe::Health);
    let gaps = gaps(&pings);
    assert!(gaps.iter().all(|gap| (2_000..=8_000).contains(gap)), "{gaps:?}");
    world.server_says(&answers(well("a", "1")));
    world.pass(40_000);
    assert_eq!(world.server(), ServerState::Awake);
}

#[test]
fn silence_of_two_minutes_is_unreachable_and_with_the_browsers_word_it_is_offline() {
    let mut world = World::signed_in(crate::Options::default());
    world.server_says(&Reply::Fails);
    world.pass(170_000);
    assert_eq!(world.server(), ServerState::Unreachable);
    world.page(PageEvent::Offline);
    world.pass(1_000);
    assert_eq!(world.server(), ServerState::Offline);
    world.server_says(&answers(well("a", "1")));
    world.page(PageEvent::Online);
    let back = world.until(10_000, |world| world.server() == ServerState::Awake);
    assert!(back.is_some_and(|ms| ms <= 5_100), "{back:?}");
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn retry_after_is_a_floor_and_at_most_five_minutes() {
    for (asked, floor) in [(100, 100_000), (86_400, 300_000)] {
        for code in [429, 503] {
            let mut world = World::signed_in(crate::Options::default());
            world.health = answers(patient(code, asked));
            world.pass(33_000 + TRIP);
            let start = world.sent_since(0, Probe::Health).pop().unwrap_or(0);
            let _ = world.input(Input::Unanswered);
            world.page(PageEvent::Offline);
            world.page(PageEvent::Online);
            world.pass(floor + 40_000);
            let next = world.sent_since(start + 1, Probe::Health).first().copied();
            let wait = next.map(|at| at - start);
            assert!(wait.is_some_and(|ms| ms >= floor), "{code}: {wait:?}");
            assert!(wait.is_some_and(|ms| ms <= floor + 35_000), "{code}: {wait:?}");
        }
    }
}

#[test]
fn a_hidden_page_pings_for_ten_minutes_and_then_falls_silent_until_somebody_looks() {
    let mut world = World::signed_in(hidden(WhenHidden::Ping));
    world.page(PageEvent::Hidden);
    let start = world.now();
    world.pass(3 * 3_600_000);
    let pings = world.sent_since(start, Probe::Health);
    assert!(pings.len() >= 18, "{}", pings.len());
    assert!(pings.iter().all(|at| at - start < 600_000));
    assert!(world.sent_since(start + 601_000, Probe::Verify).is_empty());
    let seen = world.now();
    world.page(PageEvent::Visible);
    world.pass(6_000);
    assert!(!world.sent_since(seen, Probe::Health).is_empty());
    assert!(!world.sent_since(seen, Probe::Verify).is_empty());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_hidden_page_that_is_to_pause_sends_nothing_and_one_that_is_always_on_goes_on() {
    let mut paused = World::signed_in(hidden(WhenHidden::Pause));
    paused.page(PageEvent::Hidden);
    let start = paused.now() + 1;
    paused.pass(3_600_000);
    assert!(paused.sent.iter().all(|(at, ..)| *at < start));

    let mut always = World::signed_in(hidden(WhenHidden::Always));
    always.page(PageEvent::Hidden);
    let start = always.now() + 1;
    always.pass(3_600_000);
    assert!(always.sent_since(start, Probe::Health).len() >= 109);
}

#[test]
fn a_hidden_page_asks_a_dead_server_rarely_and_one_that_is_seen_again_asks_soon() {
    let mut world = World::signed_in(hidden(WhenHidden::Always));
    world.page(PageEvent::Hidden);
    world.server_says(&Reply::Fails);
    world.pass(700_000);
    let start = world.now();
    world.pass(600_000);
    assert!((5..=20).contains(&world.sent_since(start, Probe::Health).len()));
    let seen = world.now();
    world.page(PageEvent::Visible);
    world.pass(8_000);
    assert!(!world.sent_since(seen, Probe::Health).is_empty(), "nobody asked in 8 s");
}

#[test]
fn without_pings_verification_is_the_probe_and_finds_the_server_again() {
    let mut world = World::signed_in(without_health());
    world.verify = Reply::Fails;
    world.pass(400_000);
    assert_ne!(world.server(), ServerState::Awake);
    assert!(world.sent_since(0, Probe::Health).is_empty());
    world.verify = answers(nameless());
    let back = world.until(60_000, |world| world.server() == ServerState::Awake);
    assert!(back.is_some(), "a server that is back was not found");
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_request_of_the_app_without_an_answer_starts_a_ping_at_most_once_in_ten_seconds() {
    let mut world = World::signed_in(crate::Options::default());
    let start = world.now();
    for _ in 0..100 {
        let _ = world.input(Input::Unanswered);
        world.pass(100);
    }
    assert!((1..=2).contains(&world.sent_since(start, Probe::Health).len()));
}
