//! What Admission promises by itself, with what it is told of the session and the server.

use super::*;

fn at(ms: u64) -> Instant {
    Instant::default().plus(Duration::from_millis(ms))
}

/// One keeper's knowledge, which a test changes, and the requests that it admits.
struct Desk {
    admission: Admission,
    context: Context,
}

impl Desk {
    /// Signed in, with a server that is awake and about to be asked.
    fn new() -> Self {
        let session = SessionView { generation: 1, is_suspect: false, has_run_out: false };
        let context = Context {
            options: AppRequestOptions::default(),
            now: at(1_000_000),
            is_running: true,
            session: Some(session),
            server: Reachability::Awake,
            awaits_record: false,
            next_probe: Some(at(1_000_000)),
            refresh: Refresh::Unavailable,
        };
        Self { admission: Admission::default(), context }
    }

    fn session(&mut self) -> &mut SessionView {
        self.context.session.as_mut().expect("the test has not ended it")
    }

    fn report(&mut self, request: AppRequest, event: AppEvent) -> Option<AppAction> {
        self.admission.handle(request, event, &self.context)
    }

    fn run(&mut self) -> Vec<AppAction> {
        let actions = self.admission.run(&self.context);
        actions.into_iter().map(|(_, action)| action).collect()
    }

    fn pass(&mut self, ms: u64) -> Vec<AppAction> {
        self.context.now = self.context.now.plus(Duration::from_millis(ms));
        self.run()
    }

    fn check(&mut self, result: CheckResult) -> Vec<AppAction> {
        let generation = self.context.session.map(|session| session.generation);
        let now = self.context.now;
        self.admission.checked(generation, now, now, result);
        let actions = self.run();
        // What comes next comes later.
        self.context.now = now.plus(Duration::from_millis(1));
        actions
    }
}

const GET: AppRequest = AppRequest {
    id: AppRequestId(1),
    replay: Replay::Always,
    destination: Destination::Api,
    resource: 7,
    sent_with: Some(1),
};
const POST: AppRequest = AppRequest { replay: Replay::AfterUnauthorized, ..GET };
const STREAM: AppRequest = AppRequest { replay: Replay::Never, ..GET };

const fn numbered(id: u32) -> AppRequest {
    AppRequest { id: AppRequestId(id), ..GET }
}

use AppAction::{Deliver, Refuse, Send};
use AppEvent::{Closed, NoResponse, Ready, Unauthorized, Unavailable};

#[test]
fn a_request_that_met_a_waking_server_is_sent_again_after_its_first_proof() {
    for event in [NoResponse, Unavailable] {
        let mut desk = Desk::new();
        desk.context.server = Reachability::Away;
        assert_eq!(desk.report(GET, event), None);
        assert_eq!(desk.pass(60_000), []);
        desk.admission.server_proven();
        desk.context.server = Reachability::Awake;
        assert_eq!(desk.run(), [Send]);
        assert_eq!(desk.run(), [], "sent twice for one proof");
    }
}

#[test]
fn a_server_that_proves_itself_and_fails_again_is_asked_four_times_in_all() {
    let mut desk = Desk::new();
    desk.context.server = Reachability::Away;
    for _ in 0..3 {
        assert_eq!(desk.report(GET, Unavailable), None);
        desk.admission.server_proven();
        assert_eq!(desk.run(), [Send]);
    }
    assert_eq!(desk.report(GET, Unavailable), Some(Deliver));
}

#[test]
fn a_path_that_fails_alone_is_asked_once_more() {
    let mut desk = Desk::new();
    assert_eq!(desk.report(GET, Unavailable), None);
    desk.admission.server_proven();
    assert_eq!(desk.run(), [Send]);
    assert_eq!(desk.report(GET, Unavailable), Some(Deliver));
}

#[test]
fn where_the_server_is_awake_the_wait_for_a_proof_ends_after_two_seconds() {
    let mut desk = Desk::new();
    assert_eq!(desk.report(GET, Unavailable), None);
    assert_eq!(desk.admission.next_timeout(), Some(at(1_002_000)));
    assert_eq!(desk.pass(1_999), []);
    assert_eq!(desk.pass(1), [Deliver]);
}

#[test]
fn where_no_probe_may_be_sent_soon_nothing_is_waited_for() {
    for next_probe in [None, Some(at(1_002_001))] {
        let mut desk = Desk::new();
        desk.context.next_probe = next_probe;
        assert_eq!(desk.report(GET, Unavailable), Some(Deliver), "{next_probe:?}");
    }
    let mut unknown = Desk::new();
    unknown.context.server = Reachability::Unknown;
    unknown.context.next_probe = None;
    assert_eq!(unknown.report(GET, Unavailable), Some(Deliver));
}

#[test]
fn what_may_change_something_is_not_sent_again_after_an_outage() {
    for request in [POST, STREAM, AppRequest { destination: Destination::OtherOrigin, ..GET }] {
        let mut desk = Desk::new();
        desk.context.server = Reachability::Away;
        assert_eq!(desk.report(request, Unavailable), Some(Deliver), "{request:?}");
    }
}

#[test]
fn a_401_for_the_current_token_is_held_until_the_session_is_over() {
    let mut desk = Desk::new();
    assert_eq!(desk.report(GET, Unauthorized), None);
    desk.session().is_suspect = true;
    assert_eq!(desk.pass(8_000), []);
    desk.context.session = None;
    assert_eq!(desk.run(), [Deliver]);
}

#[test]
fn a_refuted_401_is_asked_once_more_where_that_is_harmless() {
    for (request, action) in [(GET, Send), (POST, Deliver), (STREAM, Deliver)] {
        let mut desk = Desk::new();
        assert_eq!(desk.report(request, Unauthorized), None);
        assert_eq!(desk.pass(40), []);
        assert_eq!(desk.check(CheckResult::Accepted), [action], "{request:?}");
    }
}

#[test]
fn a_verification_that_was_sent_before_the_401_came_refutes_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.report(POST, Unauthorized), None);
    let sent = desk.context.now.minus(Duration::from_millis(1));
    desk.admission.checked(Some(1), sent, desk.context.now, CheckResult::Accepted);
    assert_eq!(desk.run(), []);
    desk.pass(1);
    assert_eq!(desk.check(CheckResult::Accepted), [Deliver]);
}

#[test]
fn a_path_that_rejects_alone_gets_its_401_through() {
    let mut desk = Desk::new();
    assert_eq!(desk.report(GET, Unauthorized), None);
    assert_eq!(desk.check(CheckResult::Accepted), [Send]);
    assert_eq!(desk.report(GET, Unauthorized), Some(Deliver));
    // The next one is asked once more, and does not wait for the next verification to be due.
    let next = numbered(2);
    assert_eq!(desk.report(next, Unauthorized), Some(Send));
    assert_eq!(desk.report(next, Unauthorized), Some(Deliver));
    // Another path may know better.
    let other = AppRequest { resource: 8, ..numbered(3) };
    assert_eq!(desk.report(other, Unauthorized), Some(Send));
    assert_eq!(desk.report(other, Unauthorized), None);
}

#[test]
fn a_path_that_accepted_again_is_held_like_any_other() {
    let mut desk = Desk::new();
    assert_eq!(desk.report(POST, Unauthorized), None);
    assert_eq!(desk.check(CheckResult::Accepted), [Deliver]);
    assert_eq!(desk.report(GET, Unauthorized), Some(Send));
    assert_eq!(desk.report(GET, Closed), None);
    assert_eq!(desk.report(POST, Unauthorized), None);
}

#[test]
fn a_token_that_was_accepted_a_moment_ago_is_tried_once_more_at_once() {
    let mut desk = Desk::new();
    desk.check(CheckResult::Accepted);
    desk.pass(9_998);
    assert_eq!(desk.report(GET, Unauthorized), Some(Send));
    assert_eq!(desk.report(GET, Unauthorized), None, "the second 401 is settled by a check");
    desk.pass(1);
    assert_eq!(desk.report(numbered(2), Unauthorized), None, "ten seconds are no moment");
}

#[test]
fn an_acceptance_before_the_confirmation_speaks_for_nothing() {
    let mut desk = Desk::new();
    desk.check(CheckResult::Accepted);
    desk.session().is_suspect = true;
    assert_eq!(desk.report(GET, Unauthorized), None);
}

#[test]
fn a_verify_path_that_never_decides_holds_nobody_up() {
    let mut wrong = Desk::new();
    assert_eq!(wrong.report(GET, Unauthorized), None);
    assert_eq!(wrong.check(CheckResult::Undecidable), [Deliver]);
    let mut down = Desk::new();
    assert_eq!(down.report(GET, Unauthorized), None);
    assert_eq!(down.check(CheckResult::Inconclusive), []);
    assert_eq!(down.check(CheckResult::Inconclusive), []);
    assert_eq!(down.check(CheckResult::Inconclusive), [Deliver]);
}

#[test]
fn a_401_for_an_older_token_is_sent_once_more_at_once_whatever_its_method() {
    for (request, action) in [(GET, Send), (POST, Send), (STREAM, Deliver)] {
        let mut desk = Desk::new();
        desk.session().generation = 2;
        assert_eq!(desk.report(request, Unauthorized), Some(action), "{request:?}");
    }
    let mut desk = Desk::new();
    assert_eq!(desk.report(AppRequest { sent_with: None, ..POST }, Unauthorized), Some(Send));
}

#[test]
fn a_server_that_rejects_each_newer_token_ends_the_resending() {
    let mut desk = Desk::new();
    for generation in 1..=NEWER_TOKEN_RESENDS.into() {
        desk.session().generation = generation + 1;
        let request = AppRequest { sent_with: Some(generation), ..POST };
        assert_eq!(desk.report(request, Unauthorized), Some(Send));
    }
    desk.session().generation = 9;
    assert_eq!(desk.report(POST, Unauthorized), Some(Deliver));
}

#[test]
fn a_401_for_nobody_is_delivered() {
    let mut desk = Desk::new();
    desk.context.session = None;
    let request = AppRequest { sent_with: None, ..GET };
    assert_eq!(desk.report(request, Unauthorized), Some(Deliver));
}

#[test]
fn an_app_that_wants_every_401_gets_it_unless_a_refresh_can_fix_it() {
    let mut desk = Desk::new();
    desk.context.options.on_unauthorized = OnUnauthorized::Pass;
    assert_eq!(desk.report(GET, Unauthorized), Some(Deliver));
    desk.context.refresh = Refresh::Expected;
    assert_eq!(desk.report(GET, Unauthorized), None);
    assert!(desk.admission.wants_refresh(&desk.context));
}

#[test]
fn a_401_waits_for_the_refresh_and_is_sent_with_its_token_whatever_its_method() {
    for (request, action) in [(GET, Send), (POST, Send), (STREAM, Deliver)] {
        let mut desk = Desk::new();
        desk.context.refresh = Refresh::Expected;
        assert_eq!(desk.report(request, Unauthorized), None);
        assert!(desk.admission.wants_refresh(&desk.context));
        assert_eq!(desk.pass(30_000), []);
        desk.session().generation = 2;
        assert!(!desk.admission.wants_refresh(&desk.context));
        assert_eq!(desk.run(), [action], "{request:?}");
    }
}

#[test]
fn a_refreshed_token_that_is_rejected_too_is_settled_and_not_refreshed_again() {
    let mut desk = Desk::new();
    desk.context.refresh = Refresh::Expected;
    assert_eq!(desk.report(GET, Unauthorized), None);
    desk.session().generation = 2;
    assert_eq!(desk.run(), [Send]);
    let again = AppRequest { sent_with: Some(2), ..GET };
    assert_eq!(desk.report(again, Unauthorized), None);
    assert!(!desk.admission.wants_refresh(&desk.context));
    assert_eq!(desk.check(CheckResult::Accepted), [Send]);
    assert_eq!(desk.report(again, Unauthorized), Some(Deliver));
    // A path that rejects alone is no reason for one refresh after the other.
    assert_eq!(desk.report(AppRequest { id: AppRequestId(2), ..again }, Unauthorized), Some(Send));
    assert!(!desk.admission.wants_refresh(&desk.context));
}

#[test]
fn a_refresh_that_is_given_up_leaves_the_401_to_the_verification() {
    let mut desk = Desk::new();
    desk.context.refresh = Refresh::Expected;
    assert_eq!(desk.report(GET, Unauthorized), None);
    desk.context.refresh = Refresh::Unavailable;
    assert_eq!(desk.run(), []);
    assert_eq!(desk.check(CheckResult::Accepted), [Send]);
}

#[test]
fn a_token_that_has_run_out_is_not_sent_while_a_newer_one_is_expected() {
    let mut desk = Desk::new();
    desk.session().has_run_out = true;
    desk.context.refresh = Refresh::Expected;
    assert_eq!(desk.report(STREAM, Ready), None);
    assert!(desk.admission.wants_refresh(&desk.context));
    assert_eq!(desk.pass(5_000), []);
    *desk.session() = SessionView { generation: 2, is_suspect: false, has_run_out: false };
    assert_eq!(desk.run(), [Send]);
    assert_eq!(desk.report(STREAM, Closed), None);
}

#[test]
fn a_request_is_not_sent_before_the_record_is_read() {
    let mut desk = Desk::new();
    desk.context.awaits_record = true;
    assert_eq!(desk.report(POST, Ready), None);
    assert!(!desk.admission.wants_refresh(&desk.context));
    desk.context.awaits_record = false;
    assert_eq!(desk.run(), [Send]);
}

#[test]
fn a_token_that_cannot_be_replaced_in_time_is_sent_as_it_is() {
    let waiting = || {
        let mut desk = Desk::new();
        desk.session().has_run_out = true;
        desk.context.refresh = Refresh::Expected;
        assert_eq!(desk.report(POST, Ready), None);
        desk
    };
    let mut given_up = waiting();
    given_up.context.refresh = Refresh::Unavailable;
    assert_eq!(given_up.run(), [Send]);
    assert_eq!(waiting().pass(90_000), [Send]);
    let mut stopped = waiting();
    stopped.context.is_running = false;
    assert_eq!(stopped.run(), [Send]);
    let mut signed_out = waiting();
    signed_out.context.session = None;
    assert_eq!(signed_out.run(), [Send]);
}

#[test]
fn the_wait_is_bounded_over_all_attempts() {
    let mut desk = Desk::new();
    desk.context.server = Reachability::Away;
    assert_eq!(desk.report(GET, Unavailable), None);
    assert_eq!(desk.pass(60_000), []);
    desk.admission.server_proven();
    assert_eq!(desk.run(), [Send]);
    assert_eq!(desk.pass(29_999), []);
    assert_eq!(desk.report(GET, Unavailable), None);
    assert_eq!(desk.pass(1), [Deliver]);
}

#[test]
fn more_than_the_bound_are_rejected_and_those_that_wait_stay() {
    let mut desk = Desk::new();
    desk.context.server = Reachability::Away;
    desk.context.options.max_waiting = 2;
    assert_eq!(desk.report(numbered(1), Unavailable), None);
    assert_eq!(desk.report(numbered(2), Unauthorized), None);
    assert_eq!(desk.report(numbered(3), Unauthorized), Some(Refuse));
    assert_eq!(desk.report(POST, Unavailable), Some(Deliver), "it would not have waited");
    assert_eq!(desk.run(), []);
}

#[test]
fn a_request_that_the_app_gave_up_is_forgotten() {
    let mut desk = Desk::new();
    desk.context.server = Reachability::Away;
    assert_eq!(desk.report(GET, Unavailable), None);
    assert_eq!(desk.report(GET, Closed), None);
    assert_eq!(desk.admission.next_timeout(), None);
    desk.admission.server_proven();
    assert_eq!(desk.run(), []);
}

#[test]
fn a_stop_gives_everything_back() {
    let mut desk = Desk::new();
    desk.context.server = Reachability::Away;
    assert_eq!(desk.report(numbered(1), Unavailable), None);
    assert_eq!(desk.report(numbered(2), Unauthorized), None);
    desk.context.is_running = false;
    assert_eq!(desk.run(), [Deliver, Deliver]);
    assert_eq!(desk.report(numbered(3), Unavailable), Some(Deliver));
}

#[path = "admission_properties.rs"]
mod properties;
