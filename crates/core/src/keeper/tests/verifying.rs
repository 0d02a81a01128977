//! Verification, its repeats, and every answer that keeps the session.

use std::vec::Vec;

use super::world::*;
use crate::{
    Body, Challenge, Classified, Event, Input, Notice, Options, PageEvent, Probe, Response,
    SessionState, VerifyOptions,
};

#[test]
fn a_token_is_verified_at_start_and_every_five_minutes_give_or_take_a_tenth() {
    let mut world = World::signed_in(Options::default());
    world.pass(3_600_000);
    let sent = world.sent_since(0, Probe::Verify);
    assert!((11..=15).contains(&sent.len()), "{}", sent.len());
    let gaps: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (270_000..=330_000 + TRIP).contains(gap)), "{gaps:?}");
}

#[test]
fn three_repeats_with_jitter_and_then_the_session_is_kept() {
    let mut world = World::new(Options::default());
    world.record = active(1);
    world.server_says(&Reply::Fails);
    let _ = world.input(Input::Start);
    world.pass(60_000);
    let sent = world.sent_since(0, Probe::Verify);
    assert_eq!(sent.len(), 4);
    for pair in sent.windows(2) {
        assert!((2_000..=8_000 + TRIP).contains(&(pair[1] - pair[0])), "{sent:?}");
    }
    let retries = world.events().filter_map(|event| match event {
        Event::Retry { attempt, of, .. } => Some((*attempt, *of)),
        _ => None,
    });
    assert_eq!(retries.collect::<Vec<_>>(), [(1, 3), (2, 3), (3, 3)]);
    assert_eq!(world.session(), SessionState::Unverified);
    assert!(world.notices().any(|notice| *notice == Notice::Settled));
}

#[test]
fn delays_grow_past_three_times_the_first_and_never_past_four() {
    let mut longest = 0;
    for seed in 0..200 {
        let mut world = World::new(Options::default());
        world.keeper = crate::Keeper::new(Options::default(), seed);
        world.record = active(1);
        world.server_says(&Reply::Fails);
        let _ = world.input(Input::Start);
        world.pass(60_000);
        for event in world.events() {
            if let Event::Retry { wait, .. } = event {
                assert!((2_000..=8_000).contains(&wait.as_millis()));
                longest = longest.max(wait.as_millis());
            }
        }
    }
    assert!(longest > 6_000, "the delay before is not taken into account");
}

#[test]
fn when_the_repeats_are_used_up_the_first_sign_of_life_starts_a_verification_at_once() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&Reply::Fails);
    // Long enough for several periodic verifications to have failed.
    world.pass(3_600_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    let start = world.now();
    world.server_says(&answers(well("a", "1")));
    world.until(60_000, |world| !world.sent_since(start, Probe::Health).is_empty());
    world.pass(TRIP + 2);
    let back = world.now();
    assert!(!world.sent_since(back - 10, Probe::Verify).is_empty(), "not at once");
}

#[test]
fn a_held_verification_is_waited_for_and_not_repeated() {
    let mut world = World::signed_in(Options::default());
    world.health = Reply::Slow(60_000, well("a", "1"));
    world.verify = Reply::Slow(60_000, well("a", "1"));
    let start = world.now();
    let _ = world.input(Input::Verify);
    world.pass(59_000);
    assert_eq!(world.sent_since(start, Probe::Verify).len(), 1);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn no_answer_but_a_genuine_401_ends_or_suspects_the_session() {
    let redirected = Response { redirected: true, ..html(302) };
    let opaque = Response { status: 0, body: Body::Empty, ..Response::default() };
    let nonce = Response { challenge: Challenge::Survivable, ..status(401) };
    let mut replies: Vec<Reply> = [redirected, opaque, nonce, challenged_by_a_proxy()]
        .into_iter()
        .chain([200, 403, 404, 429, 500, 502, 503].map(html))
        .chain([204, 304, 400, 403, 404, 410, 419, 429, 500, 503, 540].map(status))
        .chain([patient(429, 60), patient(503, 60)])
        .map(Reply::Answer)
        .collect();
    replies.extend([Reply::Fails, Reply::Silence]);
    for both in [false, true] {
        for reply in &replies {
            let mut world = World::signed_in(Options::default());
            world.verify = reply.clone();
            if both {
                world.health = reply.clone();
            }
            let _ = world.input(Input::Verify);
            let ever = world.until(1_200_000, |world| world.session() != SessionState::SignedIn);
            assert_eq!(ever, None, "{reply:?} led to {:?}", world.session());
            // The opposite in the same setting: the token is revoked.
            world.server_says(&answers(well("a", "1")));
            world.verify = answers(rejected("a", "1"));
            world.pass(700_000);
            assert_eq!(world.session(), SessionState::SignedOut, "after {reply:?}");
        }
    }
}

#[test]
fn a_403_is_told_to_the_app_and_a_404_names_the_path() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(status(403));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    assert!(world.notices().any(|notice| *notice == Notice::Forbidden));
    world.verify = answers(status(404));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    assert!(world.has_logged("wrong-path"));
}

#[test]
fn a_login_page_in_place_of_json_is_named_to_the_developer_while_health_is_fine() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(html(200));
    let _ = world.input(Input::Verify);
    let named = world.until(300_000, |world| world.has_logged("misconfigured"));
    assert!(named.is_some());
    assert_eq!(world.session(), SessionState::SignedIn);

    let mut asleep = World::signed_in(Options::default());
    asleep.server_says(&answers(html(200)));
    asleep.pass(1_200_000);
    assert!(!asleep.has_logged("misconfigured"), "a server that sleeps was called misconfigured");
}

#[test]
fn a_401_of_another_request_starts_one_verification_in_ten_seconds_and_counts_for_nothing() {
    let mut world = World::signed_in(Options::default());
    let start = world.now();
    for _ in 0..300 {
        let _ = world.input(Input::Report { status: 401 });
        world.pass(100);
    }
    let sent = world.sent_since(start, Probe::Verify);
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0], start, "the first hint waited");
    assert_eq!(world.session(), SessionState::SignedIn);
    for status in [200, 403, 419, 500] {
        world.pass(20_000);
        let before = world.sent_since(0, Probe::Verify).len();
        let _ = world.input(Input::Report { status });
        assert_eq!(world.sent_since(0, Probe::Verify).len(), before);
    }
}

#[test]
fn retry_after_holds_the_next_verification_back_for_everybody_but_the_app() {
    let mut world = World::signed_in(Options::default());
    world.verify = answers(patient(429, 200));
    let _ = world.input(Input::Verify);
    world.pass(TRIP + 1);
    let start = world.now();
    let _ = world.input(Input::Report { status: 401 });
    world.page(PageEvent::Online);
    world.pass(190_000);
    assert!(world.sent_since(start, Probe::Verify).is_empty());
    let asked = world.now();
    let _ = world.input(Input::Verify);
    world.pass(2);
    assert_eq!(world.sent_since(asked, Probe::Verify).len(), 1);
}

#[test]
fn a_page_nobody_touches_is_not_verified_any_more_where_the_app_says_so() {
    let verify = VerifyOptions { when_idle: Some(secs(900)), ..VerifyOptions::default() };
    let mut world = World::signed_in(Options { verify, ..Options::default() });
    let start = world.now();
    world.pass(3_600_000);
    let sent = world.sent_since(start, Probe::Verify);
    assert!((2..=3).contains(&sent.len()), "{}", sent.len());
    let user_activity = world.now();
    world.page(PageEvent::UserActivity);
    world.pass(1_000);
    assert_eq!(world.sent_since(user_activity, Probe::Verify).len(), 1);
}

#[test]
fn what_the_app_classifies_decides_in_place_of_the_status() {
    let mut world = World::signed_in(Options::default());
    let says =
        |classified, answer: Response| answers(Response { classified: Some(classified), ..answer });
    world.verify = says(Classified::Valid, status(204));
    let _ = world.input(Input::Verify);
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    world.verify = says(Classified::Rejected, Response { status: 419, ..well("a", "1") });
    let _ = world.input(Input::Verify);
    world.pass(8_000);
    assert_eq!(world.session(), SessionState::SignedOut);
}
