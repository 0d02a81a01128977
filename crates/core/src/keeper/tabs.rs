//! Several tabs, one session: who asks the server, and what it tells the others.
//!
//! Rule: what they are told is shown there and begins or ends no session: the record does.

use alloc::vec::Vec;

use super::verifying::resolve_verify_waiters;
use super::{Keeper, Life, Session, Verification};
use crate::admission::{CheckResult, Refresh};
use crate::effect::Effect;
use crate::event::Event;
use crate::generation::Generation;
use crate::lease::{Lease, LeaseRecord, Reader, TabId};
use crate::message::{Message, TabRequest, TabState};
use crate::page::Presence;
use crate::refresher::Want;
use crate::time::{Duration, Instant, UnixMillis};

/// A leader that has not answered for so long may be frozen.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A suspicion that a leader told of is over by then, one way or the other (G2: 120 s).
pub(super) const SUSPICION: Duration = Duration::from_secs(130);
/// The same moment is told again with another delay.
pub(super) const MESSAGE_DELAY: Duration = Duration::from_millis(500);
/// A record that is told of is there by then.
pub(super) const RECORD_FOLLOWS: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Tabs {
    pub(super) lease: Lease,
    /// A request to the leader that it has not answered.
    pub(super) asked: Option<Instant>,
    /// When the leader was last asked, by what for.
    pub(super) last_requests: [Option<Instant>; TabRequest::ALL.len()],
    /// What the leader said, until it says something else.
    pub(super) suspect_until: Option<Instant>,
    pub(super) leader_verified: Option<Generation>,
    /// When the server last proved itself to the leader.
    pub(super) leader_proven: Option<Instant>,
    /// A tab waits for a proof that the server is awake.
    proof_wanted: bool,
    /// A verification of the leader that the record does not tell of yet, and how long that is
    /// waited for.
    pub(super) awaits_record: Option<(Option<UnixMillis>, Instant)>,
    /// The last verification that was made here: when it was sent and what it came to.
    check: Option<(Option<Generation>, Instant, CheckResult)>,
    /// When the last verification was sent, and when the last one that ended.
    verification_sent: Option<Instant>,
    pub(super) settled: Option<Instant>,
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
            self.read_record(out);
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
            TabRequest::Probe => {
                self.tabs.proof_wanted = true;
                self.handle_unanswered(out);
            }
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

    pub(super) const fn note_check_for_tabs(
        &mut self,
        generation: Option<Generation>,
        sent: Instant,
        result: CheckResult,
    ) {
        self.tabs.check = Some((generation, sent, result));
    }

    /// The server has proven itself to this tab.
    pub(super) const fn note_proof_for_tabs(&mut self) {
        if core::mem::replace(&mut self.tabs.proof_wanted, false) {
            self.tabs.is_due = true;
        }
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
            proven: None,
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
            let proven = self.prober.server.proven_at().map(|at| now.since(at));
            let state = TabState { is_answer, proven, check, settled, with_user, ..state };
            out.push(Effect::Broadcast(Message::State(state)));
        }
    }
}
