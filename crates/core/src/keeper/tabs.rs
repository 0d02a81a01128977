//! Several tabs, one session: who asks the server, and what the others know of it.
//!
//! Rule: a tab that does not lead sends no request about the session. What it would ask it asks
//! the leader for, and where that is silent it takes the lease over. A message begins and ends no
//! session: the record does.

use alloc::vec::Vec;

use super::verifying::resolve_verify_waiters;
use super::{Acceptance, Keeper, Life, Session, Verification};
use crate::admission::{CheckResult, Refresh};
use crate::effect::{Effect, Notice};
use crate::event::Event;
use crate::generation::Generation;
use crate::lease::{Lease, LeaseRecord, Reader, TabId};
use crate::message::{Message, TabRequest, TabState};
use crate::page::Presence;
use crate::prober::HINT_EVERY;
use crate::refresher::Want;
use crate::time::{Duration, Instant, UnixMillis};

/// A leader that has not answered for so long may be frozen.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A suspicion that a leader told of is over by then, one way or the other (G2: 120 s).
const SUSPICION: Duration = Duration::from_secs(130);
/// A record that is told of is there by then.
const RECORD_FOLLOWS: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Tabs {
    pub(super) lease: Lease,
    /// A request to the leader that it has not answered.
    asked: Option<Instant>,
    /// When the leader was last asked, by what for.
    last_requests: [Option<Instant>; TabRequest::ALL.len()],
    /// What the leader said, until it says something else.
    suspect_until: Option<Instant>,
    leader_verified: Option<Generation>,
    /// A verification of the leader that the record does not tell of yet, and how long that is
    /// waited for.
    awaits_record: Option<(Option<UnixMillis>, Instant)>,
    /// The last verification that was made here: when it was sent and what it came to.
    check: Option<(Option<Generation>, Instant, CheckResult)>,
    /// When the last verification was sent, and when the last one that ended.
    verification_sent: Option<Instant>,
    settled: Option<Instant>,
    /// What the others were told last.
    told: Option<Told>,
    /// A tab has asked.
    is_asked: bool,
    /// A tab has asked for a newer token, and none is to be had.
    cannot_refresh: bool,
    /// They are to be told again, though nothing changed.
    is_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    state: TabState,
    checked: Option<Instant>,
    settled: Option<Instant>,
}

impl Keeper {
    /// Whether this tab asks the server for all tabs that share the record.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.tabs.lease.leads(self.now())
    }

    /// How often the lease has changed hands, as far as it is known; 0 where no tab is known of.
    #[must_use]
    pub const fn lease_epoch(&self) -> u32 {
        self.tabs.lease.epoch()
    }

    /// Whether the leader is confirming a 401.
    pub(super) fn is_suspect_elsewhere(&self) -> bool {
        self.tabs.suspect_until.is_some_and(|until| self.now() < until)
    }

    pub(super) fn share_tabs(&mut self, out: &mut Vec<Effect>) {
        if self.options.is_shared {
            let tab = TabId(self.rng.draw());
            self.tabs = Tabs::default();
            self.tabs.lease.share(tab);
            self.read_lease(out);
        }
    }

    pub(super) fn read_lease(&mut self, out: &mut Vec<Effect>) {
        let can_act = self.life == Life::Running && self.page.presence == Presence::Here;
        if self.tabs.lease.is_shared() && can_act {
            self.tabs.lease.reading();
            out.push(Effect::ReadLease);
        }
    }

    /// The page cannot act from now on: another tab takes its place at once.
    pub(super) fn release_lease(&mut self, out: &mut Vec<Effect>) {
        if self.tabs.lease.release() {
            out.push(Effect::ReleaseLease(self.tabs.lease.tab()));
        }
        self.tabs.asked = None;
        self.tabs.told = None;
    }

    pub(super) fn handle_lease(&mut self, record: Option<LeaseRecord>, out: &mut Vec<Effect>) {
        if self.life != Life::Running || self.page.presence == Presence::Suspended {
            return;
        }
        let (now, wall) = (self.now(), self.clock.wall());
        let (led, before) = (self.leads(), self.tabs.lease.leader());
        let is_visible = !self.page.is_hidden();
        // A tab that starts asks what is known before it takes a hidden tab's place.
        let preempts = is_visible && !self.tabs.lease.is_starting();
        let reader = Reader { now, wall, is_visible, preempts };
        if let Some(record) = self.tabs.lease.handle_record(record, reader, &mut self.rng) {
            out.push(Effect::WriteLease(record));
            // With each renewal the others are told again: messages get lost, and are forged.
            self.tabs.is_due = true;
        }
        let leader = self.tabs.lease.leader();
        if leader.is_some() && leader != before {
            self.tabs.told = None;
            self.abort_all(out);
            self.ask_leader(TabRequest::State, out);
        }
        if self.leads() && !led {
            self.log(out, Event::Leading { epoch: self.tabs.lease.epoch() });
            self.lead();
        }
    }

    /// Goes on where the tab before stopped.
    fn lead(&mut self) {
        let now = self.now();
        self.tabs.asked = None;
        if self.is_suspect_elsewhere() {
            self.verify_schedule.now(now);
        }
        self.tabs.suspect_until = None;
    }

    pub(super) fn handle_lease_unavailable(&mut self, out: &mut Vec<Effect>) {
        let led = self.leads();
        self.tabs.lease.unavailable();
        if !led {
            self.lead();
            self.log(out, Event::StoreFailed {});
        }
    }

    pub(super) fn handle_message(&mut self, message: Message, out: &mut Vec<Effect>) {
        if self.life != Life::Running || self.page.presence == Presence::Suspended {
            return;
        }
        match message {
            Message::Written => self.read_record(out),
            Message::Request(request) if self.leads() => self.handle_request(request, out),
            Message::State(state) if self.tabs.lease.leader() == Some(state.from) => {
                self.follow_leader(&state, out);
            }
            // Of a leader that is not known here: what the store holds decides.
            Message::State(_) if self.tabs.lease.is_shared() => self.read_lease(out),
            Message::Request(_) | Message::State(_) => {}
        }
    }

    /// Another tab wants something of this one, which leads.
    fn handle_request(&mut self, request: TabRequest, out: &mut Vec<Effect>) {
        self.tabs.is_asked = true;
        match request {
            TabRequest::State => {}
            TabRequest::Verify => self.handle_verify(out),
            TabRequest::Check => self.handle_report(401, out),
            TabRequest::Probe => self.handle_unanswered(out),
            TabRequest::Refresh if self.refresh() == Refresh::Expected => {
                self.refresher.want(Want::App);
            }
            TabRequest::Refresh => self.tabs.cannot_refresh = true,
            TabRequest::Unauthorized => {
                if !self.refresh_after_401() {
                    self.tabs.cannot_refresh = true;
                    self.handle_report(401, out);
                }
            }
        }
    }

    /// What this tab would do itself if it led.
    pub(super) fn run_follower(&mut self, out: &mut Vec<Effect>) {
        let now = self.now();
        if self.tabs.suspect_until.is_some_and(|until| until <= now) {
            self.tabs.suspect_until = None;
        }
        if self.tabs.lease.next_timeout().is_some_and(|at| at <= now) {
            self.read_lease(out);
        }
        self.settle_by_leader(out);
        if self.leads() {
            return;
        }
        if self.tabs.asked.is_some_and(|at| now.since(at) >= ANSWER_WITHIN) {
            self.tabs.asked = None;
            self.tabs.lease.distrust_leader(now);
            return self.read_lease(out);
        }
        if self.next_request().is_some_and(|(at, _)| at <= now)
            && let Some((_, request)) = self.next_request()
        {
            self.ask_leader(request, out);
        }
    }

    /// What the leader is to be asked for next, and when.
    fn next_request(&self) -> Option<(Instant, TabRequest)> {
        self.tabs.lease.leader()?;
        let wants = |at: Option<Instant>, request| {
            let last = self.tabs.last_requests[request as usize];
            let requested =
                self.verify_schedule.requested.filter(|_| request == TabRequest::Verify);
            let is_new = requested.is_some_and(|at| last.is_none_or(|last| last < at));
            let again = last.filter(|_| !is_new).map(|last| last.plus(HINT_EVERY));
            let at = at?.max(again.unwrap_or_default());
            self.tabs.asked.is_none().then_some((at, request))
        };
        let is_by_app = self.verify_schedule.requested.is_some();
        let verify = if is_by_app { TabRequest::Verify } else { TabRequest::Check };
        let verification = self.verification_due().filter(|_| self.verify_schedule.is_wanted());
        let refresh = self.refresher.wanted().and_then(|want| {
            let request = match want {
                Want::App => TabRequest::Refresh,
                Want::Unauthorized => TabRequest::Unauthorized,
            };
            wants(self.refresh_due(), request)
        });
        let requests = [refresh, wants(verification, verify)].into_iter();
        requests.flatten().min_by_key(|(at, _)| *at)
    }

    /// Whoever waits for a verification learns of it when the record tells what it came to.
    pub(super) fn settle_by_leader(&mut self, out: &mut Vec<Effect>) {
        let Some((awaited, until)) = self.tabs.awaits_record else { return };
        let known = self.active().and_then(|active| active.verified_at);
        if self.active().is_none() || known >= awaited || until <= self.now() {
            self.tabs.awaits_record = None;
            resolve_verify_waiters(out);
        }
    }

    pub(super) fn ask_leader(&mut self, request: TabRequest, out: &mut Vec<Effect>) {
        let now = self.now();
        if self.tabs.lease.leader().is_some() {
            self.tabs.asked.get_or_insert(now);
            self.tabs.last_requests[request as usize] = Some(now);
            if request == TabRequest::State {
                // What the leader knows is as good as a check, and it may be making one.
                self.tabs.last_requests[TabRequest::Check as usize] = Some(now);
            }
            out.push(Effect::Broadcast(Message::Request(request)));
        }
    }

    pub(super) fn next_tabs_timeout(&self) -> Option<Instant> {
        let answer = self.tabs.asked.map(|at| at.plus(ANSWER_WITHIN));
        let request = self.next_request().map(|(at, _)| at);
        let lease = self.tabs.lease.next_timeout();
        let record = self.tabs.awaits_record.map(|(_, until)| until);
        [answer, request, lease, record, self.tabs.suspect_until].into_iter().flatten().min()
    }

    /// Takes what the leader knows.
    fn follow_leader(&mut self, state: &TabState, out: &mut Vec<Effect>) {
        let now = self.now();
        if state.is_answer {
            self.tabs.asked = None;
        }
        let was_bad = self.prober.server.is_bad();
        self.prober.server.adopt(state.server, now, self.clock.wall());
        if was_bad && !self.prober.server.is_bad() {
            self.admission.server_proven();
        }
        if state.generation != self.generation() || self.active().is_none() {
            // A tombstone or a newer token, or a leader that has not read the record yet.
            return self.read_record(out);
        }
        self.tabs.suspect_until = state.is_suspect.then(|| now.plus(SUSPICION));
        self.tabs.leader_verified = state.generation.filter(|_| state.is_verified);
        if let Some((result, ago)) = state.check {
            let sent = now.minus(ago);
            let generation = state.generation.map(Generation::tag);
            self.admission.checked(generation, sent, now, result);
        }
        if let Some(ago) = state.settled
            && self.verify_schedule.requested.is_none_or(|requested| requested <= now.minus(ago))
        {
            self.verify_schedule.requested = None;
            self.verify_schedule.next_periodic(now, &self.options.verify, &mut self.rng);
            // What browsers tell of another tab's write comes by a way of its own.
            let verified_at = state.verified_at;
            self.tabs.awaits_record = Some((verified_at, now.plus(RECORD_FOLLOWS)));
        }
        if let (true, Some(generation)) = (state.with_user, state.generation) {
            out.push(Effect::UseLeadersUser { generation });
            out.push(Effect::Notify(Notice::Changed));
        }
        if state.refresh_failed && self.refresher.give_up_want() {
            out.push(Effect::Notify(Notice::NotRefreshed));
        }
        // The record holds what was verified, and only it is believed.
        self.read_record(out);
        if !self.page.is_hidden() {
            // A hidden leader has told what it knows.
            self.read_lease(out);
        }
    }

    /// The record tells of a verification that another tab made; `is_newer` than any known here.
    pub(super) fn adopt_verification(&mut self, is_newer: bool) {
        let is_told = self.tabs.leader_verified.is_some_and(|of| Some(of) == self.generation());
        let (now, wall) = (self.now(), self.clock.wall());
        let Some(active) = self.active_mut() else { return };
        let is_known = matches!(active.verification, Verification::Verified);
        let (true, Some(verified_at)) = (is_newer || is_told && !is_known, active.verified_at)
        else {
            return;
        };
        active.acceptance = Acceptance::Possible;
        active.verification = Verification::Verified;
        self.verify_schedule.accepted_here = true;
        self.verify_path.accepted_at = Some(now);
        self.refresher.accepted();
        if self.verify_schedule.requested.is_none() {
            let age = wall.since(verified_at);
            let options = &self.options.verify;
            self.verify_schedule.next_periodic_after(now, age, options, &mut self.rng);
        }
    }

    pub(super) const fn note_check_for_tabs(
        &mut self,
        generation: Option<Generation>,
        sent: Instant,
        result: CheckResult,
    ) {
        self.tabs.check = Some((generation, sent, result));
    }

    pub(super) const fn tabs_forget_session(&mut self) {
        self.tabs.suspect_until = None;
    }

    fn is_verified(&self) -> bool {
        let verification = self.active().map(|active| &active.verification);
        matches!(verification, Some(Verification::Verified))
    }

    pub(super) const fn note_verification_sent(&mut self) {
        self.tabs.verification_sent = Some(self.now());
    }

    /// Whoever waits for a verification has the answer that there is, in every tab.
    pub(super) fn settle(&mut self, out: &mut Vec<Effect>) {
        self.tabs.settled = self.tabs.verification_sent;
        resolve_verify_waiters(out);
    }

    /// Runs at the end of each step: the others are told what has changed.
    pub(super) fn tell_tabs(&mut self, out: &mut Vec<Effect>) {
        let can_tell = self.life == Life::Running
            && self.tabs.lease.is_shared()
            && self.leads()
            && !self.reads.is_open()
            && !matches!(self.session, Session::Restoring);
        if !can_tell {
            return;
        }
        let now = self.now();
        let generation = self.generation();
        let check = self.tabs.check.filter(|(of, ..)| *of == generation);
        let state = TabState {
            from: self.tabs.lease.tab(),
            is_answer: false,
            generation,
            is_verified: self.is_verified(),
            is_suspect: self.is_confirming(),
            server: self.prober.server.state(),
            check: None,
            verified_at: self.active().and_then(|active| active.verified_at),
            settled: None,
            refresh_failed: self.refresher.has_failed() || self.tabs.cannot_refresh,
            with_user: false,
        };
        let settled = self.tabs.settled;
        let told = Told { state, checked: check.map(|(_, sent, _)| sent), settled };
        let before = self.tabs.told.replace(told);
        let is_news = before != Some(told);
        let is_answer = core::mem::take(&mut self.tabs.is_asked);
        self.tabs.cannot_refresh = false;
        if core::mem::take(&mut self.tabs.is_due) || is_answer || is_news {
            let check = check.map(|(_, sent, result)| (result, now.since(sent)));
            let settled = settled.map(|sent| now.since(sent));
            let is_checked = before.is_none_or(|before| before.checked != told.checked);
            let with_user = state.is_verified && (is_answer || is_checked);
            let state = TabState { is_answer, check, settled, with_user, ..state };
            out.push(Effect::Broadcast(Message::State(state)));
        }
    }
}
