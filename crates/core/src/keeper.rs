//! The keeper: one tab's view of one session and its server.
//!
//! `handle_*` takes a fact and may change the state, `next_*` only looks, `enter_*` is the only
//! way into a state. Every step ends by running what is due, so a timer that goes off early, late
//! or twice changes nothing.

mod acquiring;
mod answering;
mod app_requests;
mod following;
mod hints;
mod judging;
mod learning;
mod lifecycle;
mod noticing;
mod records;
mod refreshing;
mod schedule;
mod sessions;
mod tabs;
mod verifying;
mod visitor;

use alloc::vec::Vec;

use crate::acquirer::Acquirer;
use crate::admission::Admission;
use crate::backend::Backend;
use crate::confirm::Confirmation;
use crate::diagnosis::{Diagnosis, DiagnosisTracker};
use crate::effect::{Effect, Notice};
use crate::event::Event;
use crate::freshness::Freshness;
use crate::generation::Generation;
use crate::history::{Entry, History};
use crate::input::Input;
use crate::instances::{Instances, OwnNames, Seen};
use crate::label::Label;
use crate::options::Options;
use crate::page::{Page, Presence};
use crate::prober::Prober;
use crate::reads::Reads;
use crate::refresh_lock::RefreshLock;
use crate::refresher::{NewToken, Refresher};
use crate::requests::Requests;
use crate::revocation::Revocation;
use crate::rng::Rng;
use crate::server::ServerState;
use crate::session::{SessionState, SignOut, Snapshot, TokenFacts};
use crate::time::{Clock, Duration, Instant, Now, UnixMillis};
use acquiring::Awaiting;
use hints::VerifyPath;
use judging::PendingRejection;
use records::LateRecord;
use refreshing::PendingRefreshRejection;
use schedule::VerifySchedule;
use sessions::PendingCommand;
use tabs::Tabs;
use visitor::Visitor;

/// A timer this late means that the page could not run, whatever the clocks say: hidden timers
/// run once a minute at the least.
const SUSPENDED: Duration = Duration::from_secs(90);

/// Keeps one session of one tab. See the crate's documentation.
#[derive(Debug)]
pub struct Keeper {
    options: Options,
    clock: Clock,
    rng: Rng,
    life: Life,
    page: Page,
    prober: Prober,
    /// When any request was last answered: its connection may be open since then.
    answered: Instant,
    instances: Instances,
    backend: Backend,
    diagnosis_tracker: DiagnosisTracker,
    requests: Requests,
    admission: Admission,
    session: Session,
    verify_schedule: VerifySchedule,
    verify_path: VerifyPath,
    visitor: Visitor,
    verify_freshness: Freshness,
    names: OwnNames,
    pending_rejections: Vec<PendingRejection>,
    reads: Reads,
    late_record: LateRecord,
    pending_command: Option<PendingCommand>,
    revocation: Revocation,
    refresher: Refresher,
    refresh_lock: RefreshLock,
    pending_refresh_rejection: Option<PendingRefreshRejection>,
    acquirer: Acquirer,
    awaiting: Option<Awaiting>,
    /// A token that waits for the record: another tab may have signed in or out meanwhile.
    acquired: Option<NewToken>,
    /// The newest generation that is known, of whatever tab.
    newest: Option<Generation>,
    sign_out: Option<SignOut>,
    /// The generation that the last sign-out ended.
    ended: Option<Generation>,
    tabs: Tabs,
    history: History,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Idle,
    Running,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, and it moves at a sign-in")]
enum Session {
    Restoring,
    SignedOut,
    Active(ActiveSession),
}

#[derive(Debug)]
struct ActiveSession {
    generation: Generation,
    facts: TokenFacts,
    saved_at: Option<UnixMillis>,
    verified_at: Option<UnixMillis>,
    acceptance: Acceptance,
    /// The server accepted it after it had run out: it prolongs a session by use.
    outlives_expiry: bool,
    verification: Verification,
}

/// Whether the server has ever accepted the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acceptance {
    /// It was handed over in this page, and not yet.
    Never,
    /// It was, or it is from before this page.
    Possible,
}

#[derive(Debug)]
enum Verification {
    Unverified,
    Verified,
    Suspect(Confirmation),
}

/// Why the keeper wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// When the store has not answered in time.
    Reading,
    /// When a request has taken too long.
    Request,
    /// When a ping is due.
    Ping,
    /// When a verification or its repeat is due.
    Verification,
    /// When the next burst of a confirmation is due.
    Confirmation,
    /// When the server is to be told of a sign-out.
    SignOut,
    /// When a request of the app has waited long enough.
    AppRequest,
    /// When the token is to be refreshed, or an attempt repeated.
    Refresh,
    /// When the app is asked for a token, or nobody waits for it any longer.
    Acquire,
    /// When the lease is to be read, or the leader was silent for too long.
    Tabs,
}

impl Keeper {
    /// A keeper that does nothing until [`Input::Start`]. The seed must differ between browsers,
    /// or their repeats fall into step.
    #[must_use]
    pub fn new(options: Options, seed: u64) -> Self {
        Self {
            options,
            clock: Clock::new(),
            rng: Rng::new(seed),
            life: Life::Idle,
            page: Page::new(Instant::default()),
            prober: Prober::new(),
            answered: Instant::default(),
            instances: Instances::default(),
            backend: Backend::default(),
            diagnosis_tracker: DiagnosisTracker::default(),
            requests: Requests::default(),
            admission: Admission::default(),
            session: Session::Restoring,
            verify_schedule: VerifySchedule::default(),
            verify_path: VerifyPath::default(),
            visitor: Visitor::default(),
            verify_freshness: Freshness::default(),
            names: OwnNames::default(),
            pending_rejections: Vec::new(),
            reads: Reads::default(),
            late_record: LateRecord::default(),
            pending_command: None,
            revocation: Revocation::default(),
            refresher: Refresher::default(),
            refresh_lock: RefreshLock::default(),
            pending_refresh_rejection: None,
            acquirer: Acquirer::default(),
            awaiting: None,
            acquired: None,
            newest: None,
            sign_out: None,
            ended: None,
            tabs: Tabs::default(),
            history: History::default(),
        }
    }

    /// Takes one fact and answers with what to do, in order.
    #[must_use = "an effect that is not carried out leaves the keeper waiting for it"]
    pub fn handle_input(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        let before = self.snapshot();
        let server_before = self.prober.server.state();
        let due = self.next_timeout();
        let slept = self.clock.advance(now).or_else(|| {
            let late = self.now().since(due?.0);
            (late >= SUSPENDED).then_some(late)
        });
        if let Some(slept) = slept
            && self.life == Life::Running
        {
            self.log(&mut out, Event::Slept { length: slept });
            self.resume(&mut out);
        }
        self.apply(input, &mut out);
        self.run_due(&mut out);
        self.notify_server_state(server_before, &mut out);
        if self.snapshot() != before {
            out.push(Effect::Notify(Notice::Changed));
        }
        self.run_admission(&mut out);
        self.tell_tabs(&mut out);
        out
    }

    /// The next moment at which [`Input::Timeout`] is of use, and why. Computed, never stored.
    #[must_use]
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        if self.life != Life::Running || self.page.presence == Presence::Suspended {
            return None;
        }
        let mut first = None;
        let mut consider = |at: Option<Instant>, timer| {
            if let Some(at) = at
                && first.is_none_or(|(first, _)| at < first)
            {
                first = Some((at, timer));
            }
        };
        consider(self.reads.next_timeout(), Timer::Reading);
        consider(self.requests.next_deadline(), Timer::Request);
        consider(self.next_ping(), Timer::Ping);
        consider(self.next_verification(), Timer::Verification);
        consider(self.next_burst(), Timer::Confirmation);
        consider(self.next_revocation(), Timer::SignOut);
        consider(self.admission.next_timeout(), Timer::AppRequest);
        consider(self.next_refresh(), Timer::Refresh);
        consider(self.next_acquire(), Timer::Acquire);
        consider(self.next_tabs_timeout(), Timer::Tabs);
        first
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let active = self.active();
        Snapshot {
            session: match &self.session {
                Session::Restoring => SessionState::Restoring,
                Session::SignedOut => SessionState::SignedOut,
                Session::Active(active) => match active.verification {
                    _ if self.is_suspect_elsewhere() => SessionState::Suspect,
                    Verification::Unverified => SessionState::Unverified,
                    Verification::Verified => SessionState::SignedIn,
                    Verification::Suspect(_) => SessionState::Suspect,
                },
            },
            server: self.prober.server.state(),
            expires_at: active.and_then(|active| active.facts.expires_at),
            last_verified_at: active.and_then(|active| active.verified_at),
            signed_out_at: self.sign_out.as_ref().map(|end| end.at),
        }
    }

    /// The last sign-out, while there is no newer session.
    #[must_use]
    pub const fn sign_out(&self) -> Option<&SignOut> {
        self.sign_out.as_ref()
    }

    /// When the server last proved itself awake. Not in the snapshot: it changes with every ping.
    #[must_use]
    pub const fn last_awake_at(&self) -> Option<UnixMillis> {
        self.prober.server.last_awake()
    }

    /// The session's generation, while there is one.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.active().map(|active| active.generation)
    }

    /// What happened, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Entry> {
        self.history.iter()
    }

    /// The boot id of the last proven answer.
    #[must_use]
    pub const fn boot(&self) -> Option<&Label> {
        self.instances.boot()
    }

    /// The instances that answered in the last ten minutes.
    pub fn instances(&self) -> impl Iterator<Item = &Label> {
        self.instances.recent(self.now()).map(|Seen { instance, .. }| instance)
    }

    /// Whether the token is known to have run out: by the server's clock, or because it was
    /// handed over on this device longer ago than it was issued for.
    #[must_use]
    pub fn has_run_out(&self) -> bool {
        self.expiry().is_some_and(|expiry| expiry.has_run_out())
    }

    /// The present moment on its line.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.clock.now()
    }

    fn apply(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Start => self.start(out),
            Input::Stop => self.stop(out),
            Input::Timeout => {}
            Input::Page(event) => self.handle_page(event, out),
            Input::SignIn { token, facts } => self.handle_sign_in(token, facts, out),
            Input::SignOut => self.handle_sign_out(out),
            Input::Verify => self.handle_verify(out),
            Input::Report { status } => self.handle_report(status, out),
            Input::AppProof => self.handle_app_proof(out),
            Input::Unanswered => self.handle_unanswered(out),
            Input::AppRequest { request, event } => {
                self.handle_app_request(request, event, out);
            }
            Input::Answering { request } => self.requests.answering(request, self.now()),
            Input::Answer { request, outcome } => self.handle_answer(request, &outcome, out),
            Input::Record { read, record } => self.handle_record(read, record, out),
            Input::Backend(record) => {
                self.names.restore(record.boot);
                self.backend.restore(record, self.clock.wall());
            }
            Input::StoreFailed => self.log(out, Event::StoreFailed {}),
            Input::Refresh => self.handle_refresh_wanted(out),
            Input::RefreshAnswer { request, answer } => {
                self.handle_refresh_answer(request, &answer, out);
            }
            Input::AcquireAnswer { request, answer } => {
                self.handle_acquire_answer(request, &answer, out);
            }
            Input::Renew(new) => self.handle_renew(new, out),
            Input::RecordChanged => self.read_record(out),
            Input::TabMessage(message) => self.handle_message(message, out),
            Input::Lease(record) => self.handle_lease(record, out),
            Input::LeaseChanged => self.read_lease(out),
            Input::Locked => self.refresh_lock.granted(self.now()),
            Input::LeaseUnavailable => self.handle_lease_unavailable(out),
        }
    }

    fn run_due(&mut self, out: &mut Vec<Effect>) {
        let now = self.now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.life == Life::Running
            && self.page.presence == Presence::Suspended
            && due(self.next_revocation())
        {
            // A sign-out in a handler of `pagehide`: the request goes on without its page.
            self.send_revocation(out);
        }
        if self.life != Life::Running || self.page.presence == Presence::Suspended {
            return;
        }
        self.run_overdue_read(out);
        self.run_overdue(out);
        self.run_follower(out);
        if due(self.next_ping()) {
            self.send_ping(out);
        }
        self.schedule_check_for_app(out);
        self.run_refresh(out);
        if due(self.next_verification()) && !self.reads.is_fresh(now) {
            // Another tab may have signed in or out.
            self.read_record(out);
            self.run_overdue_read(out);
        }
        if due(self.next_verification()) {
            self.send_verification(out);
        }
        if due(self.next_burst()) {
            self.send_burst(out);
        }
        if due(self.next_revocation()) {
            self.send_revocation(out);
        }
        // Late, because a record that is read for the others may end the session.
        self.run_acquire(out);
        // What came to light above, such as a store that hangs, may have called for one.
        if due(self.next_ping()) {
            self.send_ping(out);
        }
    }

    fn notify_server_state(&mut self, before: ServerState, out: &mut Vec<Effect>) {
        let state = self.prober.server.state();
        if state != before {
            self.log(out, Event::Server { state, before });
            out.push(Effect::Notify(Notice::Server { state, since: self.clock.wall() }));
        }
    }

    fn log(&mut self, out: &mut Vec<Effect>, event: Event) {
        let entry = Entry { at: self.clock.wall(), event };
        self.history.add(entry);
        out.push(Effect::Notify(Notice::Logged(entry)));
    }

    fn diagnose(&mut self, out: &mut Vec<Effect>, found: Diagnosis) {
        if self.diagnosis_tracker.should_report(found.cause) {
            self.log(out, Event::Diagnosed { found });
        }
    }

    const fn active(&self) -> Option<&ActiveSession> {
        match &self.session {
            Session::Active(active) => Some(active),
            Session::Restoring | Session::SignedOut => None,
        }
    }

    const fn active_mut(&mut self) -> Option<&mut ActiveSession> {
        match &mut self.session {
            Session::Active(active) => Some(active),
            Session::Restoring | Session::SignedOut => None,
        }
    }

    const fn confirmation(&mut self) -> Option<&mut Confirmation> {
        match &mut self.session {
            Session::Active(ActiveSession {
                verification: Verification::Suspect(confirmation),
                ..
            }) => Some(confirmation),
            Session::Active(_) | Session::Restoring | Session::SignedOut => None,
        }
    }
}

#[cfg(test)]
mod tests;
