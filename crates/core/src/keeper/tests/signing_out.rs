//! The app's own sign-out, and telling the server of it.

use super::world::*;
use crate::{
    Effect, Input, Options, Outcome, PageEvent, Probe, Record, SessionState, SignOutReason,
};

fn telling() -> Options {
    Options { tell_sign_out: true, ..Options::default() }
}

#[test]
fn a_sign_out_works_at_once_and_offline_and_has_no_evidence() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&Reply::Fails);
    let _ = world.input(Input::SignOut);
    assert_eq!(world.session(), SessionState::SignedOut);
    let end = world.sign_outs().remove(0);
    assert_eq!((end.reason, end.rule, end.rejections.len()), (SignOutReason::User, None, 0));
    assert!(world.input(Input::SignOut).is_empty(), "a second one did something");
}

#[test]
fn the_server_is_told_once_and_then_the_token_is_forgotten() {
    let mut world = World::signed_in(telling());
    let _ = world.input(Input::SignOut);
    let forget = Effect::Forget { generation: generation(1) };
    assert!(!world.orders.iter().any(|(_, it)| *it == forget), "forgotten before it was told");
    world.pass(3_600_000);
    assert_eq!(world.sent_since(0, Probe::SignOut).len(), 1);
    assert!(world.orders.iter().any(|(_, it)| *it == forget));
    assert!(world.has_logged("sign-out-told"));
}

#[test]
fn a_sign_out_that_could_not_be_delivered_is_made_good_when_the_server_is_back() {
    for reply in [Reply::Fails, answers(html(503)), answers(status(500)), answers(patient(429, 5))]
    {
        let mut world = World::signed_in(telling());
        world.server_says(&Reply::Fails);
        world.sign_out = reply;
        let _ = world.input(Input::SignOut);
        world.pass(900_000);
        let tried = world.sent_since(0, Probe::SignOut).len();
        assert!((4..=8).contains(&tried), "{tried}");
        assert!(!world.has_logged("sign-out-told"));
        world.server_says(&answers(well("a", "1")));
        world.sign_out = answers(status(204));
        world.until(130_000, |world| world.server() == crate::ServerState::Awake);
        world.pass(2 * TRIP);
        assert!(world.has_logged("sign-out-told"), "not at the first sign of life");
    }
}

#[test]
fn a_sign_out_lost_in_a_gap_that_no_ping_noticed_is_made_good_all_the_same() {
    let mut world = World::signed_in(telling());
    world.sign_out = Reply::Fails;
    let _ = world.input(Input::SignOut);
    world.pass(60_000);
    world.sign_out = answers(status(204));
    world.pass(340_000);
    assert!(world.has_logged("sign-out-told"));
}

#[test]
fn an_answer_on_its_way_when_the_user_signs_out_brings_nothing_back() {
    let mut world = World::signed_in(Options::default());
    world.verify = Reply::Silence;
    let _ = world.input(Input::Verify);
    let Some(request) = world.open_request(Probe::Verify) else { panic!("nothing was asked") };
    let _ = world.input(Input::SignOut);
    for response in [well("a", "1"), rejected("a", "1")] {
        let outcome = Outcome::Response(response);
        assert!(world.input(Input::Answer { request, outcome }).is_empty());
    }
    assert_eq!(world.session(), SessionState::SignedOut);
    assert_eq!(world.sign_outs().len(), 1);
}

#[test]
fn a_sign_in_after_a_sign_out_takes_the_next_number_and_a_new_id() {
    let mut world = World::signed_in(Options::default());
    let _ = world.input(Input::SignOut);
    let _ = world.input(sign_in());
    let Some(second) = world.keeper.generation() else { panic!("no session") };
    assert_eq!(second.number, 2);
    let Record::Session(stored) = &world.record else { panic!("a session is stored") };
    assert_eq!(stored.generation, second);
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn with_a_cookie_a_sign_in_takes_back_a_sign_out_that_would_end_the_new_session() {
    let mut world = World::signed_in(Options { tell_sign_out: true, ..cookie() });
    world.sign_out = Reply::Silence;
    let _ = world.input(Input::SignOut);
    world.pass(100);
    assert!(world.open_request(Probe::SignOut).is_some());
    let _ = world.input(sign_in());
    assert!(world.open_request(Probe::SignOut).is_none());
    world.pass(3_600_000);
    assert_eq!(world.sent_since(0, Probe::SignOut).len(), 1);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_rejected_sign_out_stays_undelivered_is_tried_within_bounds_and_said_once() {
    let html = html(200);
    for response in [status(400), status(403), status(404), status(405), html] {
        let mut world = World::signed_in(Options { tell_sign_out: true, ..cookie() });
        world.sign_out = answers(response);
        let _ = world.input(Input::SignOut);
        world.pass(3_600_000);
        let tried = world.sent_since(0, Probe::SignOut).len();
        assert!((2..=8).contains(&tried), "{response:?}: {tried}");
        assert!(matches!(world.record, Record::Tombstone { undelivered: true, .. }));
        let said = world.events().filter(|event| event.code() == "sign-out-rejected").count();
        assert_eq!(said, 1, "{response:?}");

        // The page is loaded again: nobody is verified back in, and the server is told again.
        let mut reloaded = World::new(Options { tell_sign_out: true, ..cookie() });
        reloaded.record = world.record.clone();
        reloaded.sign_out = answers(status(204));
        let _ = reloaded.input(Input::Start);
        reloaded.pass(1_000);
        assert_eq!(reloaded.session(), SessionState::SignedOut, "{response:?}");
        assert!(reloaded.has_logged("sign-out-told"));
        assert!(matches!(reloaded.record, Record::Tombstone { undelivered: false, .. }));
    }
}

#[test]
fn a_sign_out_goes_on_while_its_page_navigates_away() {
    let mut world = World::signed_in(telling());
    world.sign_out = Reply::Silence;
    let _ = world.input(Input::SignOut);
    world.page(PageEvent::Suspended);
    assert!(world.open_request(Probe::SignOut).is_some(), "it was aborted");
    let _ = world.input(Input::Stop);
    assert!(world.open_request(Probe::SignOut).is_some(), "it was aborted");
}

#[test]
fn two_sign_outs_without_a_network_are_both_made_good() {
    let mut world = World::signed_in(telling());
    world.server_says(&Reply::Fails);
    world.sign_out = Reply::Fails;
    let _ = world.input(Input::SignOut);
    world.pass(1_000);
    let _ = world.input(sign_in());
    let second = world.keeper.generation();
    world.pass(1_000);
    let _ = world.input(Input::SignOut);
    world.pass(30_000);
    world.server_says(&answers(well("a", "1")));
    world.sign_out = answers(status(204));
    world.pass(60_000);
    let told = world.events().filter(|event| event.code() == "sign-out-told").count();
    assert_eq!(told, 2);
    for generation in [Some(generation(1)), second].into_iter().flatten() {
        assert!(world.orders.iter().any(|(_, it)| *it == Effect::Forget { generation }));
    }
}
