//! One session in many tabs: one asks the server, and all know.

use super::browser::*;
use super::refreshing::{lives, options, sign_in_for};
use super::world::*;
use crate::Options;
use crate::{
    AppAction, AppEvent, AppRequest, AppRequestId, CheckResult, Destination, Duration, Effect,
    Generation, Input, LeaseRecord, Message, Notice, PageEvent, Probe, Record, Replay, ServerState,
    SessionState, SignOutReason, TabId, TabState, TokenId,
};

fn all(state: SessionState, count: usize) -> std::vec::Vec<SessionState> {
    std::vec![state; count]
}

#[test]
fn ten_tabs_cost_what_one_costs() {
    let hour = 3_600_000;
    let mut one = Browser::with_tabs(&shared(), 1);
    let mut ten = Browser::with_tabs(&shared(), 10);
    let (since_one, since_ten) = (one.now(), ten.now());
    one.pass(hour);
    ten.pass(hour);
    for probe in [Probe::Health, Probe::Verify] {
        let (of_one, of_ten) = (one.sent_since(since_one, probe), ten.sent_since(since_ten, probe));
        assert!(of_one >= 10, "{probe:?}: {of_one}");
        assert!(of_ten * 10 <= of_one * 11, "{probe:?}: {of_ten} for {of_one}");
    }
    assert_eq!(ten.sessions(), all(SessionState::SignedIn, 10));
    assert_eq!(ten.leaders(), [0]);
}

#[test]
fn opening_ten_tabs_verifies_once() {
    let browser = Browser::with_tabs(&shared(), 10);
    assert_eq!(browser.sent_since(0, Probe::Verify), 1);
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 10));
    for tab in &browser.tabs[1..] {
        assert!(tab.orders.iter().any(|(_, it)| matches!(it, Effect::UseLeadersUser { .. })));
    }
}

#[test]
fn a_sign_in_and_a_sign_out_are_known_in_every_tab_at_once() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    browser.input(1, Input::SignOut);
    browser.pass(20);
    assert_eq!(browser.sessions(), all(SessionState::SignedOut, 3));
    let ends = browser.tabs[0].sign_outs();
    assert_eq!(ends[0].reason, SignOutReason::User);
    assert!(ends[0].from_other_tab);
    browser.input(2, sign_in());
    browser.pass(1_000);
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 3));
    let told = Notice::SignedIn { from_other_tab: true };
    assert!(browser.tabs[0].notices().any(|notice| *notice == told));
    assert!(browser.tabs[1].notices().any(|notice| *notice == told));
}

#[test]
fn a_suspicion_and_its_end_are_known_in_every_tab_with_the_evidence() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    browser.for_all(|tab| tab.server_says(&answers(rejected("a", "1"))));
    browser.input(2, Input::Report { status: 401 });
    browser.pass(1_000);
    assert_eq!(browser.sessions(), all(SessionState::Suspect, 3));
    browser.pass(8_000);
    assert_eq!(browser.sessions(), all(SessionState::SignedOut, 3));
    assert_eq!(browser.tabs[2].sign_outs()[0].rejections.len(), 2);
    assert_eq!(browser.sent_since(0, Probe::SignOut), 0);
}

#[test]
fn verify_in_a_tab_that_follows_gets_the_leaders_answer() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    let (since, settled) = (browser.now(), settled(&browser.tabs[1]));
    browser.input(1, Input::Verify);
    browser.pass(500);
    assert_eq!(browser.tabs[0].sent_since(since, Probe::Verify).len(), 1);
    assert_eq!(browser.tabs[1].sent_since(since, Probe::Verify).len(), 0);
    assert!(self::settled(&browser.tabs[1]) > settled);
}

fn settled(tab: &World) -> usize {
    tab.notices().filter(|notice| **notice == Notice::Settled).count()
}

#[test]
fn the_servers_state_is_known_in_every_tab() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    browser.for_all(|tab| tab.server_says(&Reply::Fails));
    browser.pass(40_000);
    assert!(browser.tabs.iter().all(|tab| tab.server() == ServerState::Waking));
    browser.for_all(|tab| tab.server_says(&answers(well("a", "1"))));
    browser.pass(40_000);
    assert!(browser.tabs.iter().all(|tab| tab.server() == ServerState::Awake));
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 3));
}

#[test]
fn a_closed_leader_is_followed_at_once_and_a_crashed_one_when_its_lease_has_run_out() {
    for (close, within) in [(true, 1_100), (false, 17_000)] {
        let mut browser = Browser::with_tabs(&shared(), 3);
        assert_eq!(browser.leaders(), [0]);
        if close {
            browser.page(0, PageEvent::Suspended);
        }
        browser.frozen.push(0);
        browser.pass(within);
        assert_eq!(browser.leaders().len(), 1, "closed: {close}");
    }
}

#[test]
fn a_leader_that_is_frozen_without_notice_is_replaced_by_a_tab_that_needs_an_answer() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    browser.frozen.push(0);
    let since = browser.now();
    browser.input(1, Input::Verify);
    browser.pass(2_500);
    assert_eq!(browser.leaders(), [1]);
    assert_eq!(browser.tabs[1].sent_since(since, Probe::Verify).len(), 1);
    browser.frozen.clear();
    browser.pass(6_000);
    assert_eq!(browser.leaders(), [0], "somebody looks at it, and only one leads");
}

#[test]
fn the_tab_that_somebody_looks_at_leads() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    let since = browser.now();
    browser.page(0, PageEvent::Hidden);
    browser.page(2, PageEvent::Visible);
    browser.pass(1_000);
    assert_eq!(browser.leaders(), [2]);
    assert_eq!(browser.sent_since(since, Probe::Verify), 0, "nobody asks what is known");
}

#[test]
fn a_night_asleep_costs_the_requests_of_one_tab() {
    let mut browser = Browser::with_tabs(&shared(), 10);
    browser.for_all(|tab| tab.sleep(8 * 3_600_000));
    let since = browser.now();
    browser.pass(60_000);
    assert!(browser.sent_since(since, Probe::Verify) <= 2);
    assert!(browser.sent_since(since, Probe::Health) <= 4);
    assert_eq!(browser.leaders().len(), 1);
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 10));
}

#[test]
fn a_sign_out_in_a_tab_that_was_frozen_ends_no_newer_session() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    browser.frozen.push(1);
    browser.input(0, sign_in());
    browser.pass(1_000);
    let newer = browser.generations()[0];
    // It thaws in the middle of a click, before any event reached it.
    browser.frozen.clear();
    browser.input(1, Input::SignOut);
    browser.pass(1_000);
    assert_eq!(browser.generations(), [newer, newer]);
    assert!(browser.sign_outs_of_the_user() == 0);
}

#[test]
fn a_sign_out_ends_what_a_refresh_brought_meanwhile() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    let ours = browser.generations()[0].expect("there is a session");
    browser.input(1, Input::SignOut);
    let next = Generation::new(ours.number + 1, TokenId(9)).expect("it is in range");
    let stored = crate::StoredSession::new(next.of_session(ours.session_id));
    // A tab that was in the middle of a refresh writes over the tombstone.
    browser.record = Record::Session(stored);
    browser.for_all(|tab| tab.comes(1, Input::RecordChanged));
    browser.pass(100);
    assert_eq!(browser.sessions(), all(SessionState::SignedOut, 2));
    assert!(matches!(browser.record, Record::Tombstone { .. }));
}

#[test]
fn two_sign_ins_at_the_same_moment_become_one() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    browser.has_channel = false;
    browser.frozen.push(1);
    browser.input(0, sign_in());
    browser.frozen.clear();
    browser.input(1, sign_in());
    browser.pass(1_000);
    let generations = browser.generations();
    assert!(generations.iter().all(|it| *it == generations[0]), "{generations:?}");
}

#[test]
fn storage_that_was_cleared_by_hand_is_no_sign_out() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    (browser.record, browser.lease) = (Record::Absent, None);
    browser.for_all(|tab| {
        tab.comes(1, Input::RecordChanged);
        tab.comes(1, Input::LeaseChanged);
    });
    browser.pass(2_000);
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 3));
    assert!(matches!(browser.record, Record::Session(_)));
    assert_eq!(browser.leaders(), [0]);
}

#[test]
fn messages_that_are_forged_or_stale_end_and_begin_nothing() {
    let mut browser = Browser::with_tabs(&shared(), 3);
    let leader = browser.lease.expect("somebody leads").tab;
    let before = browser.generations();
    for from in [leader, TabId(666)] {
        for generation in [before[0], None, Some(generation(99))] {
            for is_suspect in [true, false] {
                browser.forge(Message::State(TabState {
                    from,
                    is_answer: true,
                    generation,
                    is_verified: !is_suspect,
                    is_suspect,
                    server: ServerState::Unreachable,
                    proven: Some(Duration::from_secs(0)),
                    check: Some((CheckResult::Undecidable, Duration::from_secs(0))),
                    verified_at: Some(crate::UnixMillis(u64::MAX)),
                    settled: Some(Duration::from_secs(0)),
                    refresh_failed: true,
                    with_user: true,
                }));
            }
        }
    }
    for _ in 0..1_000 {
        browser.forge(Message::Written);
    }
    browser.pass(200_000);
    assert_eq!(browser.generations(), before);
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 3));
    assert!(browser.tabs.iter().all(|tab| tab.server() == ServerState::Awake));
}

#[test]
fn a_store_that_takes_no_lease_lets_each_tab_ask_for_itself() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    browser.input(1, Input::LeaseUnavailable);
    let since = browser.now();
    browser.pass(600_000);
    assert!(!browser.tabs[1].sent_since(since, Probe::Verify).is_empty());
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 2));
}

#[test]
fn rubbish_in_the_lease_holds_nobody_up_for_longer_than_a_lease() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    let expires_at = crate::UnixMillis(u64::MAX);
    let tab = TabId(666);
    browser.lease =
        Some(LeaseRecord { tab, epoch: LeaseRecord::MAX_EPOCH, expires_at, is_visible: true });
    browser.for_all(|tab| tab.comes(1, Input::LeaseChanged));
    browser.pass(17_000);
    assert_eq!(browser.leaders().len(), 1);
}

/// Three tabs that refresh, with tokens that live that long.
fn refreshing(ms: u64) -> Browser {
    let mut browser = Browser::with_tabs(&Options { is_shared: true, ..options() }, 3);
    browser.for_all(|tab| tab.new_token = Some(lives(ms)));
    browser.input(0, sign_in_for(ms));
    browser.pass(1_000);
    browser
}

#[test]
fn one_tab_refreshes_for_all_and_it_is_no_sign_in_for_the_others() {
    let mut browser = refreshing(600_000);
    let since = browser.now();
    let sign_ins = |tab: &World| {
        tab.notices().filter(|notice| matches!(notice, Notice::SignedIn { .. })).count()
    };
    let before: std::vec::Vec<usize> = browser.tabs.iter().map(sign_ins).collect();
    browser.pass(3_600_000);
    let refreshes = browser.sent_since(since, Probe::Refresh);
    assert!((5..=8).contains(&refreshes), "{refreshes}");
    let after: std::vec::Vec<usize> = browser.tabs.iter().map(sign_ins).collect();
    assert_eq!(before, after);
    let told = browser.tabs[2].notices().filter(|notice| **notice == Notice::Refreshed).count();
    assert_eq!(told, refreshes, "every tab knows of every newer token");
    let generations = browser.generations();
    assert!(generations.iter().all(|it| *it == generations[0]));
}

#[test]
fn a_tab_that_follows_asks_the_leader_to_refresh() {
    let mut browser = refreshing(600_000);
    let since = browser.now();
    browser.input(2, Input::Refresh);
    browser.pass(1_000);
    assert_eq!(browser.tabs[0].sent_since(since, Probe::Refresh).len(), 1);
    assert_eq!(browser.tabs[2].sent_since(since, Probe::Refresh).len(), 0);
    assert!(browser.tabs[2].notices().any(|notice| *notice == Notice::Refreshed));
}

#[test]
fn a_tab_that_dies_in_the_middle_of_a_refresh_leaves_an_attempt_that_another_repeats() {
    let mut browser = refreshing(600_000);
    browser.for_all(|tab| tab.refresh = Reply::Silence);
    browser.input(0, Input::Refresh);
    browser.pass(1_000);
    let (_, token, attempt) = browser.tabs[0].refreshes[0];
    browser.close(0);
    browser.for_all(|tab| tab.refresh = answers(nameless()));
    browser.input(1, Input::Refresh);
    browser.pass(40_000);
    let again: std::vec::Vec<_> =
        browser.tabs[1..].iter().flat_map(|tab| tab.refreshes.clone()).collect();
    assert!(!again.is_empty());
    assert_eq!((again[0].1, again[0].2), (token, attempt));
}

#[test]
fn two_tabs_that_both_lead_refresh_once_under_the_lock() {
    let mut browser = refreshing(600_000);
    // Each of them asks for itself, and neither knows of the other.
    browser.input(1, Input::LeaseUnavailable);
    browser.input(2, Input::LeaseUnavailable);
    browser.for_all(|tab| tab.refresh = Reply::Slow(3_000, nameless()));
    let since = browser.now();
    for tab in 0..3 {
        browser.input(tab, Input::Refresh);
    }
    browser.pass(20_000);
    assert_eq!(browser.sent_since(since, Probe::Refresh), 1);
    let generations = browser.generations();
    assert!(generations.iter().all(|it| *it == generations[0]));
}

#[test]
fn whoever_wants_a_newer_token_gets_an_answer_in_every_tab_again_and_again() {
    let mut browser = refreshing(3_000);
    for round in 0..6 {
        for tab in 0..3 {
            browser
                .page(tab, if tab == round % 3 { PageEvent::Visible } else { PageEvent::Hidden });
        }
        let answers = |tab: &World| {
            let is_answer = |it: &&Notice| matches!(it, Notice::Refreshed | Notice::NotRefreshed);
            tab.notices().filter(is_answer).count()
        };
        let before: std::vec::Vec<usize> = browser.tabs.iter().map(answers).collect();
        for tab in 0..3 {
            browser.input(tab, Input::Refresh);
        }
        browser.pass(11_000);
        for (tab, before) in browser.tabs.iter().zip(before) {
            assert!(answers(tab) > before, "round {round}");
        }
        assert_eq!(browser.sessions(), all(SessionState::SignedIn, 3));
    }
}

#[test]
fn a_request_of_the_app_in_a_tab_that_follows_is_sent_again_when_the_leader_has_a_proof() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    let request = AppRequest {
        id: AppRequestId(1),
        replay: Replay::Always,
        destination: Destination::Api,
        resource: 1,
        sent_with: browser.generations()[1].map(Generation::tag),
    };
    let since = browser.now();
    browser.input(1, Input::AppRequest { request, event: AppEvent::NoResponse });
    browser.pass(1_000);
    let sent = browser.tabs[1].orders.iter().rev().find_map(|(_, effect)| match effect {
        Effect::AppRequest { action, .. } => Some(*action),
        _ => None,
    });
    assert_eq!(sent, Some(AppAction::Send));
    assert_eq!(browser.tabs[0].sent_since(since, Probe::Health).len(), 1, "the leader asked");
    assert_eq!(browser.tabs[1].sent_since(since, Probe::Health).len(), 0);
}

#[test]
fn tabs_that_take_turns_verify_as_often_as_one() {
    let mut browser = Browser::with_tabs(&shared(), 2);
    let since = browser.now();
    // Somebody goes from one tab to the other each minute, for an hour.
    for minute in 0..60 {
        browser.page(minute % 2, PageEvent::Hidden);
        browser.page((minute + 1) % 2, PageEvent::Visible);
        browser.pass(60_000);
    }
    let verifications = browser.sent_since(since, Probe::Verify);
    assert!((10..=16).contains(&verifications), "{verifications}");
}

#[test]
fn a_clock_that_was_set_back_makes_no_verification_of_the_leader_an_old_one() {
    let mut browser = Browser::with_tabs(&shared(), 1);
    browser.for_all(|tab| tab.set_clock(-14 * 3_600_000));
    browser.input(0, Input::Verify);
    browser.pass(1_000);
    let tab = &browser.tabs[0];
    let verified_at = tab.keeper.snapshot().last_verified_at;
    assert!(verified_at.is_some_and(|at| at.0 <= tab.wall()), "it lies ahead");
}

#[test]
fn a_suspicion_that_meets_a_token_of_another_tab_asks_about_that_token_at_once() {
    let mut browser = Browser::with_tabs(&shared(), 1);
    browser.for_all(|tab| tab.server_says(&answers(rejected("a", "1"))));
    browser.input(0, Input::Report { status: 401 });
    browser.pass(1_000);
    assert_eq!(browser.sessions(), all(SessionState::Suspect, 1));
    browser.for_all(|tab| tab.server_says(&answers(well("a", "1"))));
    let ours = browser.generations()[0].expect("there is a session");
    let next = Generation::new(ours.number + 1, TokenId(9)).expect("it is in range");
    let since = browser.now();
    browser.record = Record::Session(crate::StoredSession::new(next.of_session(ours.session_id)));
    browser.for_all(|tab| tab.comes(1, Input::RecordChanged));
    browser.pass(1_000);
    assert_eq!(browser.sent_since(since, Probe::Verify), 1);
    assert_eq!(browser.sessions(), all(SessionState::SignedIn, 1));
}
