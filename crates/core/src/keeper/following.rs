//! A tab that follows: what it asks the leader for, and what it takes from it.
//!
//! Rule: it sends no request about the session itself, and where the leader is silent it takes the
//! lease over. A message begins and ends no session: the record does.

use alloc::vec::Vec;

use super::tabs::{ANSWER_WITHIN, MESSAGE_DELAY, RECORD_FOLLOWS, SUSPICION};
use super::verifying::resolve_verify_waiters;
use super::{Acceptance, Keeper, Verification};
use crate::effect::{Effect, Notice};
use crate::generation::Generation;
use crate::message::{Message, TabRequest, TabState};
use crate::prober::HINT_EVERY;
use crate::refresher::Want;
use crate::time::Instant;

impl Keeper {
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
        if let Some((at, request)) = self.next_request()
            && at <= now
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
    pub(super) fn follow_leader(&mut self, state: &TabState, out: &mut Vec<Effect>) {
        let now = self.now();
        if state.is_answer {
            self.tabs.asked = None;
        }
        self.prober.server.adopt(state.server, now, self.clock.wall());
        let proven = state.proven.map(|ago| now.minus(ago));
        if proven > self.tabs.leader_proven.map(|before| before.plus(MESSAGE_DELAY)) {
            self.tabs.leader_proven = proven;
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
        // This tab may lead next, and tells it then.
        let settled = state.settled.map(|ago| now.minus(ago));
        self.tabs.settled = self.tabs.settled.max(settled);
        if let Some(ago) = state.settled
            && self.verify_schedule.requested.is_none_or(|requested| requested <= now.minus(ago))
        {
            self.verify_schedule.requested = None;
            // Counted from that verification: tabs that take turns verify as often as one.
            let options = &self.options.verify;
            self.verify_schedule.next_periodic_after(now, ago, options, &mut self.rng);
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

    /// Whether another tab asks the server, and can be asked to.
    pub(super) const fn is_following(&self) -> bool {
        self.tabs.lease.leader().is_some()
    }

    /// Whether the leader is confirming a 401.
    pub(super) fn is_suspect_elsewhere(&self) -> bool {
        self.tabs.suspect_until.is_some_and(|until| self.now() < until)
    }
}
