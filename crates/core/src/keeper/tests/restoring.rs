//! What is found on record at start, and the life of a keeper.

use super::world::*;
use crate::{Effect, Input, Options, PageEvent, Probe, Record, SessionState};

fn started(record: Record) -> World {
    let mut world = World::new(Options::default());
    world.record = record;
    let _ = world.input(Input::Start);
    world
}

fn ordered(world: &World, wanted: &Effect) -> bool {
    world.orders.iter().any(|(_, effect)| effect == wanted)
}

#[test]
fn nothing_is_known_until_the_record_is_read() {
    let mut world = started(active(3));
    assert_eq!(world.keeper.snapshot().signed_in(), None);
    world.verify = Reply::Silence;
    world.pass(10);
    assert_eq!(world.session(), SessionState::Unverified);
    assert_eq!(world.keeper.snapshot().signed_in(), Some(true));
    assert!(world.orders.iter().any(|(_, it)| {
        matches!(it, Effect::UseStoredToken { generation: it, .. } if *it == generation(3))
    }));
}

#[test]
fn records_that_hold_no_session_mean_signed_out_without_a_sign_out() {
    for record in [Record::Absent, Record::Corrupt, Record::Foreign, Record::Unreadable] {
        let mut world = started(record.clone());
        world.pass(10);
        assert_eq!(world.session(), SessionState::SignedOut, "{record:?}");
        assert!(world.sign_outs().is_empty());
        assert_eq!(ordered(&world, &Effect::EraseRecord), record == Record::Corrupt);
        world.pass(60_000);
        assert!(world.sent_since(0, Probe::Verify).is_empty());
    }
}

#[test]
fn a_tombstone_keeps_its_reason_over_a_reload() {
    let mut world = started(tombstone(4));
    world.pass(10);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert!(world.keeper.sign_out().is_some());
    assert!(world.sign_outs().is_empty(), "an old sign-out was told as news");
    let _ = world.input(sign_in());
    assert_eq!(world.keeper.generation().map(|it| it.number), Some(5));
    assert!(world.keeper.sign_out().is_none());
}

#[test]
fn a_store_that_never_answers_is_waited_for_two_seconds() {
    let mut world = World::new(Options::default());
    world.store_answers = false;
    let _ = world.input(Input::Start);
    world.pass(1_990);
    assert_eq!(world.session(), SessionState::Restoring);
    world.pass(20);
    assert_eq!(world.session(), SessionState::SignedOut);
}

#[test]
fn a_late_answer_of_the_store_restores_the_session_while_nobody_has_decided_anything() {
    let mut world = World::new(Options::default());
    world.store_answers = false;
    world.record = active(9);
    let _ = world.input(Input::Start);
    world.pass(5_000);
    assert_eq!(world.session(), SessionState::SignedOut);
    world.store_answers_in(1);
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn a_late_answer_of_the_store_replaces_no_sign_in_and_undoes_no_sign_out() {
    for decision in [sign_in(), Input::SignOut] {
        let mut world = World::new(Options::default());
        world.store_answers = false;
        world.record = active(9);
        let _ = world.input(Input::Start);
        world.pass(5_000);
        let _ = world.input(decision.clone());
        let before = (world.session(), world.keeper.generation());
        world.store_answers_in(1);
        world.store_answers = true;
        world.record = Record::Unreadable;
        world.pass(10);
        assert_eq!((world.session(), world.keeper.generation()).1, before.1, "{decision:?}");
    }
}

#[test]
fn an_old_read_answers_no_newer_one() {
    let mut world = World::signed_in(Options::default());
    world.store_answers = false;
    let _ = world.input(Input::RecordChanged);
    let old = *world.reads.last().expect("a read is open");
    world.page(PageEvent::Suspended);
    world.page(PageEvent::Resumed);
    assert_ne!(world.reads.last(), Some(&old));
    let late = world.input(Input::Record { read: old, record: tombstone(1) });
    assert_eq!(world.session(), SessionState::SignedIn, "{late:?}");
}

#[test]
fn an_absent_or_corrupt_record_of_a_living_session_is_no_sign_out_and_is_written_back() {
    for record in [Record::Absent, Record::Corrupt] {
        let mut world = World::signed_in(Options::default());
        world.record = record;
        let message = crate::Message::Written;
        let _ = world.input(Input::TabMessage(message));
        world.pass(10);
        assert_eq!(world.session(), SessionState::SignedIn);
        let Record::Session(stored) = &world.record else { panic!("a session is stored") };
        assert_eq!(stored.generation, generation(1));
    }
}

#[test]
fn an_older_record_and_an_older_tombstone_change_nothing_newer() {
    for record in [active(1), tombstone(1), Record::Foreign, Record::Unreadable] {
        let mut world = World::signed_in(Options::default());
        let _ = world.input(sign_in());
        world.pass(1_000);
        let ours = world.keeper.generation();
        world.record = record;
        let message = crate::Message::Written;
        let _ = world.input(Input::TabMessage(message));
        world.pass(10);
        assert_eq!((world.session(), world.keeper.generation()), (SessionState::SignedIn, ours));
    }
}

#[test]
fn a_tombstone_of_this_session_or_a_newer_one_signs_out_here_too() {
    for number in [1, 2] {
        let mut world = World::signed_in(Options::default());
        world.record = tombstone(number);
        let message = crate::Message::Written;
        let _ = world.input(Input::TabMessage(message));
        world.pass(10);
        assert_eq!(world.session(), SessionState::SignedOut);
        assert!(world.sign_outs()[0].from_other_tab);
        assert!(ordered(&world, &Effect::Forget { generation: generation(1) }));
    }
}

#[test]
fn a_record_that_outlived_its_sign_out_brings_no_session_back_and_a_newer_one_does() {
    let mut world = World::signed_in(Options::default());
    let _ = world.input(Input::SignOut);
    // The store did not take the tombstone.
    world.record = active(1);
    let _ = world.input(Input::StoreFailed);
    let message = crate::Message::Written;
    let _ = world.input(Input::TabMessage(message));
    world.pass(10);
    assert_eq!(world.session(), SessionState::SignedOut);
    let is_tombstone = |effect: &Effect| matches!(effect, Effect::WriteTombstone { generation: of, .. } if of.number == 1);
    let written = world.orders.iter().filter(|(_, effect)| is_tombstone(effect)).count();
    assert_eq!(written, 2, "a tab that wrote over the tombstone must meet it again");
    world.record = active(2);
    let _ = world.input(Input::TabMessage(message));
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn starting_twice_is_starting_once() {
    let mut world = started(active(1));
    let again = world.input(Input::Start);
    assert!(again.is_empty(), "{again:?}");
    world.pass(1_000);
    assert_eq!(world.sent_since(0, Probe::Health).len(), 1);
    assert_eq!(world.sent_since(0, Probe::Verify).len(), 1);
}

#[test]
fn stopping_in_the_middle_of_requests_aborts_them_and_starting_again_goes_on() {
    let mut world = World::signed_in(Options::default());
    world.server_says(&Reply::Silence);
    let _ = world.input(Input::Verify);
    world.pass(100);
    let _ = world.input(Input::Stop);
    assert!(world.open.is_empty());
    assert_eq!(world.keeper.next_timeout(), None);
    let stopped = world.now() + 1;
    world.pass(3_600_000);
    assert!(world.sent.iter().all(|(at, ..)| *at < stopped));
    assert_eq!(world.session(), SessionState::SignedIn);
    world.server_says(&answers(well("a", "1")));
    let _ = world.input(Input::Start);
    world.pass(100);
    assert!(!world.sent_since(stopped, Probe::Verify).is_empty());
    assert!(!world.sent_since(stopped, Probe::Health).is_empty());
}

#[test]
fn stopped_before_the_record_came_and_started_again_it_is_read_again() {
    let mut world = World::new(Options::default());
    world.store_answers = false;
    let _ = world.input(Input::Start);
    let _ = world.input(Input::Stop);
    world.store_answers = true;
    world.record = active(1);
    let _ = world.input(Input::Start);
    world.pass(1_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}

#[test]
fn what_the_app_wants_before_the_record_is_read_is_done_after() {
    let mut world = started(active(6));
    let _ = world.input(sign_in());
    world.pass(10);
    assert_eq!(world.keeper.generation().map(|it| it.number), Some(7));

    let mut world = started(active(6));
    let _ = world.input(Input::SignOut);
    world.pass(10);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert!(
        matches!(world.record, Record::Tombstone { generation: it, .. } if it == generation(6))
    );
}

#[test]
fn with_a_cookie_and_no_marker_the_server_alone_knows() {
    let mut valid = World::new(cookie());
    let _ = valid.input(Input::Start);
    valid.pass(1_000);
    assert_eq!(valid.session(), SessionState::SignedIn);
    assert!(matches!(valid.record, Record::Session(_)), "no marker was written");

    let mut none = World::new(cookie());
    none.verify = answers(rejected("a", "1"));
    let _ = none.input(Input::Start);
    none.pass(1_000);
    assert_eq!(none.session(), SessionState::SignedOut);
    assert!(none.sign_outs().is_empty() && none.keeper.sign_out().is_none());

    let mut dead = World::new(cookie());
    dead.server_says(&Reply::Fails);
    let _ = dead.input(Input::Start);
    dead.pass(600_000);
    assert_eq!(dead.keeper.snapshot().signed_in(), None, "silence is no answer");
    dead.server_says(&answers(well("a", "1")));
    dead.pass(40_000);
    assert_eq!(dead.session(), SessionState::SignedIn);
}

#[test]
fn with_a_cookie_nothing_is_verified_back_in_before_a_kept_sign_out_was_delivered() {
    let mut world = World::new(cookie());
    world.record = match tombstone(1) {
        Record::Tombstone { generation, sign_out, .. } => {
            Record::Tombstone { generation, sign_out, undelivered: true }
        }
        other => other,
    };
    let _ = world.input(Input::Start);
    assert!(world.sent_since(0, Probe::Verify).is_empty(), "asked before the record was read");
    world.pass(60_000);
    assert_eq!(world.sent_since(0, Probe::SignOut).len(), 1);
    assert_eq!(world.session(), SessionState::SignedOut);
    assert!(matches!(world.record, Record::Tombstone { undelivered: false, .. }));
}

#[test]
fn a_page_that_is_not_shown_yet_sends_nothing_until_it_is() {
    let mut world = World::new(Options::default());
    world.record = active(1);
    world.page(PageEvent::Suspended);
    let _ = world.input(Input::Start);
    world.pass(600_000);
    assert!(world.sent.is_empty());
    world.page(PageEvent::Resumed);
    world.pass(6_000);
    assert_eq!(world.session(), SessionState::SignedIn);
}
