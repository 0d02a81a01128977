//! A token without the user: where there is none, and where the server has ended its session.

use std::vec::Vec;

use super::world::*;
use crate::{
    AppAction, AppEvent, AppRequest, AppRequestId, Credential, Destination, Duration, Effect,
    Input, Notice, Options, PageEvent, Probe, Record, RefreshOptions, Replay, Rule, SessionState,
    TokenFacts, TokenHandle,
};

fn options() -> Options {
    Options { acquire: true, ..Options::default() }
}

/// A world whose app can get a token at once.
fn world() -> World {
    world_with(options())
}

fn world_with(options: Options) -> World {
    let mut world = World::new(options);
    world.acquire = answers(nameless());
    world.acquired = Some(TokenFacts::default());
    world
}

/// The app says that there is none: `null`.
fn says_no(world: &mut World) {
    world.acquire = answers(status(401));
    world.acquired = None;
}

fn asked(world: &World) -> Vec<u64> {
    world.sent_since(0, Probe::Acquire)
}

fn sign_ins(world: &World) -> usize {
    world.notices().filter(|it| matches!(it, Notice::SignedIn { .. })).count()
}

/// In ten minutes.
fn assert_no_storm(asked: &[u64]) {
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= 10_000), "{asked:?}");
    assert!((10..=60).contains(&asked.len()), "{asked:?}");
}

fn dropped(world: &World) -> bool {
    let is_it = |it: &Effect| *it == Effect::DropToken { token: TokenHandle(9) };
    world.orders.iter().any(|(_, effect)| is_it(effect))
}

/// Refreshed tokens of a minute, whose refresh token the server rejects.
fn revoked() -> World {
    let refresh = Some(RefreshOptions { margin: None, needs_token: true });
    let mut world = world_with(Options { refresh, ..options() });
    let _ = world.input(Input::Start);
    let facts = TokenFacts {
        lifetime: Some(Duration::from_secs(60)),
        has_refresh_token: true,
        ..TokenFacts::default()
    };
    let _ = world.input(Input::SignIn { token: Some(TokenHandle(1)), facts });
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    world.refresh = answers(status(401));
    world.new_token = None;
    world
}

#[test]
fn a_page_without_a_session_gets_one_and_nobody_is_shown_a_login_form_meanwhile() {
    let mut world = world();
    world.acquire = Reply::Slow(3_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(2_900);
    assert_eq!(world.keeper.snapshot().signed_in(), None, "not known yet");
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn, "acquired, and verified");
    assert_eq!((sign_ins(&world), asked(&world).len()), (1, 1));
    assert!(world.sign_outs().is_empty());
    assert!(matches!(world.record, Record::Session(_)), "it is stored");
}

#[test]
fn a_session_on_record_needs_no_other() {
    let mut world = world();
    world.record = active(3);
    let _ = world.input(Input::Start);
    world.pass(600_000);
    assert!(asked(&world).is_empty());
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_no_of_the_app_means_signed_out_and_it_is_not_asked_again_in_this_page() {
    let mut world = world();
    says_no(&mut world);
    let _ = world.input(Input::Start);
    world.pass(600_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert_eq!(asked(&world).len(), 1);
    assert!(world.sign_outs().is_empty() && world.has_logged("acquire-declined"));
}

#[test]
fn a_function_that_throws_answers_nothing_and_is_asked_again_ten_seconds_later_at_the_earliest() {
    let mut world = world();
    world.acquire = Reply::Fails;
    let _ = world.input(Input::Start);
    world.pass(100);
    assert_eq!(world.session(), SessionState::SignedOut, "the page waits for one attempt");
    world.pass(600_000);
    assert_no_storm(&asked(&world));
    world.acquire = answers(nameless());
    world.until(61_000, |it| it.session() == SessionState::SignedIn).expect("asked again");
    assert_eq!(sign_ins(&world), 1);
}

#[test]
fn a_function_that_never_answers_holds_a_page_up_for_ten_seconds_and_is_given_up_after_ninety() {
    let mut world = world();
    world.acquire = Reply::Silence;
    let _ = world.input(Input::Start);
    world.pass(9_900);
    assert_eq!(world.session(), SessionState::Restoring);
    world.pass(200);
    assert_eq!(world.session(), SessionState::SignedOut);
    world.pass(79_000);
    assert_eq!(asked(&world).len(), 1, "one attempt at a time");
    world.pass(120_000);
    assert!(asked(&world).len() > 1, "it hangs for ever");
}

#[test]
fn an_answer_that_comes_late_still_begins_a_session() {
    let mut world = world();
    world.acquire = Reply::Slow(30_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(29_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    world.pass(2_000);
    assert_eq!((world.session(), sign_ins(&world)), (SessionState::SignedIn, 1));
}

#[test]
fn tokens_that_the_server_accepts_from_nobody_are_no_storm() {
    let mut world = world_with(Options { acquire: true, ..at_once() });
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Start);
    world.pass(600_000);
    assert_no_storm(&asked(&world));
}

#[test]
fn a_rejected_refresh_is_answered_by_another_session_without_a_sign_out() {
    let mut world = revoked();
    let before = world.keeper.generation();
    world.pass(90_000);
    assert_eq!(world.session(), SessionState::SignedIn);
    assert_eq!((sign_ins(&world), asked(&world).len()), (2, 1));
    assert!(world.sign_outs().is_empty(), "{:?}", world.sign_outs());
    assert!(world.has_logged("refresh-rejected"));
    assert_ne!(world.keeper.generation(), before);
}

#[test]
fn a_rejected_refresh_ends_the_session_with_its_evidence_where_the_app_says_no() {
    let mut world = revoked();
    says_no(&mut world);
    let _ = world.until(90_000, |it| it.session() == SessionState::SignedOut).expect("it ends");
    let end = &world.sign_outs()[0];
    assert_eq!(end.rule, Some(Rule::RefreshRejected));
    assert_eq!((end.rejections.len(), asked(&world).len()), (2, 1));
    assert!(matches!(world.record, Record::Tombstone { .. }));
    assert!(world.now() - asked(&world)[0] <= TRIP + 10, "at once");
}

#[test]
fn a_session_that_is_over_waits_ten_seconds_for_another_and_no_longer() {
    let mut world = revoked();
    world.acquire = Reply::Slow(30_000, nameless());
    let _ = world.until(90_000, |it| !asked(it).is_empty()).expect("the app is asked");
    world.pass(9_900);
    assert!(world.sign_outs().is_empty());
    world.pass(200);
    assert_eq!(world.sign_outs().len(), 1);
    assert_eq!(world.session(), SessionState::SignedOut);
    world.pass(21_000);
    assert_eq!((world.session(), sign_ins(&world)), (SessionState::SignedIn, 2));
    assert_eq!(asked(&world).len(), 1, "the same attempt goes on");
}

#[test]
fn a_confirmed_401_is_answered_by_another_session_too() {
    let mut world = world();
    world.record = active(3);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    let good = world.verify.clone();
    world.verify = answers(rejected("a", "1"));
    let _ = world.input(Input::Verify);
    let _ = world.until(130_000, |it| !asked(it).is_empty()).expect("the app is asked");
    assert!(world.session() == SessionState::Suspect, "it is kept meanwhile");
    world.verify = good;
    world.pass(2_000);
    assert_eq!((world.session(), sign_ins(&world)), (SessionState::SignedIn, 1));
    assert!(world.sign_outs().is_empty());
}

#[test]
fn whoever_signed_out_stays_so_until_the_next_sign_in_also_after_a_reload() {
    let mut world = world();
    let _ = world.input(Input::Start);
    world.pass(1_000);
    let _ = world.input(Input::SignOut);
    world.pass(600_000);
    assert_eq!((world.session(), asked(&world).len()), (SessionState::SignedOut, 1));

    let mut reloaded = world_with(options());
    reloaded.record = world.record.clone();
    let _ = reloaded.input(Input::Start);
    reloaded.pass(600_000);
    assert_eq!(reloaded.session(), SessionState::SignedOut);
    assert!(asked(&reloaded).is_empty());

    let _ = reloaded.input(sign_in());
    reloaded.pass(1_000);
    reloaded.verify = answers(rejected("a", "1"));
    let _ = reloaded.input(Input::Verify);
    let _ = reloaded.until(130_000, |it| !asked(it).is_empty()).expect("a sign-in lifts it");
}

#[test]
fn a_sign_out_while_the_app_is_asked_holds_as_well_and_tells_nobody() {
    for wait in [1_000, 20_000] {
        let mut world = world();
        world.acquire = Reply::Slow(40_000, nameless());
        let _ = world.input(Input::Start);
        world.pass(wait);
        let _ = world.input(Input::SignOut);
        world.pass(600_000);
        assert_eq!((world.session(), asked(&world).len()), (SessionState::SignedOut, 1));
        assert!(world.sign_outs().is_empty(), "nobody was signed in");
        assert!(matches!(world.record, Record::Tombstone { .. }), "{wait} ms");
    }
}

#[test]
fn a_sign_in_of_the_user_comes_before_a_token_that_was_acquired_meanwhile() {
    let mut world = world();
    world.acquire = Reply::Slow(2_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(1_000);
    let _ = world.input(sign_in());
    let signed_in = world.keeper.generation();
    world.pass(10_000);
    assert_eq!(world.keeper.generation(), signed_in);
    assert_eq!(sign_ins(&world), 1);
}

#[test]
fn another_tabs_session_comes_before_a_token_that_was_acquired_meanwhile() {
    let mut world = world();
    world.acquire = Reply::Slow(2_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(1_000);
    world.record = active(8);
    world.pass(5_000);
    assert_eq!(world.keeper.generation(), Some(generation(8)));
    assert!(dropped(&world), "the token is kept by nobody");
}

#[test]
fn a_sign_out_in_another_tab_where_nobody_is_signed_in_holds_here_too() {
    let mut world = world();
    world.acquire = Reply::Slow(40_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(20_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    world.record = tombstone(9);
    let _ = world.input(Input::RecordChanged);
    world.pass(600_000);
    assert_eq!((world.session(), sign_ins(&world)), (SessionState::SignedOut, 0));
    assert_eq!(asked(&world).len(), 1);
    assert!(dropped(&world), "the token is kept by nobody");
}

#[test]
fn requests_of_the_app_wait_for_the_token_of_a_page_that_starts() {
    let mut world = world();
    world.acquire = Reply::Slow(3_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(1_000);
    assert!(!world.keeper.may_send());
    let request = AppRequest {
        id: AppRequestId(1),
        replay: Replay::Always,
        destination: Destination::Api,
        resource: 1,
        sent_with: None,
    };
    let _ = world.input(Input::AppRequest { request, event: AppEvent::Ready });
    let sent = |world: &World| {
        world
            .orders
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::AppRequest { action: AppAction::Send, .. }))
    };
    world.pass(1_900);
    assert!(!sent(&world));
    world.pass(200);
    assert!(sent(&world) && world.keeper.generation().is_some());
}

#[test]
fn a_cookie_is_acquired_where_the_server_knows_nobody() {
    let mut world =
        world_with(Options { acquire: true, credential: Credential::Cookie, ..Options::default() });
    let good = world.verify.clone();
    world.script.push_back(answers(rejected("a", "1")));
    world.verify = good;
    let _ = world.input(Input::Start);
    world.pass(3_000);
    assert_eq!((world.session(), sign_ins(&world)), (SessionState::SignedIn, 1));
    assert_eq!(asked(&world).len(), 1);
}

#[test]
fn nobody_is_asked_while_a_hidden_page_rests_or_after_a_stop() {
    let mut world = world();
    world.acquire = Reply::Fails;
    let _ = world.input(Input::Start);
    world.page(PageEvent::Hidden);
    world.pass(700_000);
    let before = asked(&world).len();
    world.pass(700_000);
    assert_eq!(asked(&world).len(), before);
    world.page(PageEvent::Visible);
    world.pass(100_000);
    assert!(asked(&world).len() > before);
    let _ = world.input(Input::Stop);
    let before = asked(&world).len();
    world.pass(700_000);
    assert_eq!(asked(&world).len(), before);
}

#[test]
fn a_token_that_comes_after_a_stop_is_dropped() {
    let mut world = world();
    world.acquire = Reply::Slow(2_000, nameless());
    let _ = world.input(Input::Start);
    world.pass(1_000);
    let _ = world.input(Input::Stop);
    world.pass(10_000);
    assert_eq!((world.session(), sign_ins(&world)), (SessionState::SignedOut, 0));
    assert!(world.orders.iter().any(|(_, it)| matches!(it, Effect::Abort { .. })));
}

#[test]
fn an_answer_without_a_token_is_told_to_the_developer_and_is_no_verdict() {
    let mut world = revoked();
    world.acquired = None;
    let _ = world.until(120_000, |it| it.session() == SessionState::SignedOut).expect("it ends");
    assert!(world.has_logged("acquire-failed"));
    world.acquired = Some(TokenFacts::default());
    let _ = world.until(61_000, |it| it.session() == SessionState::SignedIn).expect("asked again");
}

#[test]
fn without_the_option_nothing_is_asked() {
    let mut world = World::new(Options::default());
    let _ = world.input(Input::Start);
    world.pass(100_000);
    assert!(asked(&world).is_empty());
    assert_eq!(world.session(), SessionState::SignedOut);
}
