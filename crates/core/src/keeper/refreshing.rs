//! Refreshing: what the keeper tells the [`Refresher`](crate::refresher::Refresher) of the token,
//! the clocks and the other tabs, and what becomes of a newer token.
//!
//! Rule: a newer token is stored before the old one is forgotten, and it is the same session: the
//! user, what was verified and when stay as they are.

use alloc::vec::Vec;

use super::verifying::resolve_verify_waiters;
use super::{ActiveSession, Keeper, Life, Session, Verification};
use crate::admission::Refresh;
use crate::answer::{Grade, Outcome, Probe, Verdict};
use crate::confirm::Conclusion;
use crate::effect::{Effect, Notice};
use crate::event::{Event, Reason};
use crate::expiry::{Expiry, begun_earlier};
use crate::generation::Generation;
use crate::label::Origin;
use crate::message::Message;
use crate::options::{Credential, RefreshOptions};
use crate::page::Presence;
use crate::refresh_lock::Next;
use crate::refresher::{
    self, AttemptId, Finding, Gain, MIN_GAP, NewToken, Prospect, RefreshAnswer, Want,
};
use crate::requests::{Request, RequestId, Requests};
use crate::session::{RejectedAnswer, Rule, SignOutReason, TokenFacts};
use crate::time::{Duration, Instant, UnixMillis};

use super::answering::{origin, retry_after};

/// A rejection that waits for the record: another tab may have refreshed meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRefreshRejection {
    generation: Generation,
    answer: RejectedAnswer,
}

impl Keeper {
    /// When the next refresh goes out; `None` where there is none to be made, or one is under way.
    #[must_use]
    pub fn next_refresh(&self) -> Option<Instant> {
        Some(self.refresh_due_here()?.max(self.refresh_lock.not_before()))
    }

    fn refresh_due_here(&self) -> Option<Instant> {
        // Two tabs that lead at the same moment must not refresh with two attempts.
        Some(self.refresh_due().filter(|_| self.leads())?.max(self.tabs.lease.settles_at()))
    }

    /// The same for the session, whichever tab makes it.
    pub(super) fn refresh_due(&self) -> Option<Instant> {
        let options = self.refresh_options()?;
        let waits = self.reads.is_open() || self.awaits_end();
        if self.life != Life::Running || self.page.presence == Presence::Suspended || waits {
            return None;
        }
        let due = self.next_refresh_by_age(options);
        let at = self.refresher.next_attempt(due)?;
        let spread = self.prober.server.is_bad() || self.is_confirming();
        let free = self.requests.available_at(Requests::MAX, self.window());
        Some(if spread { at.max(free) } else { at })
    }

    /// How long the token is still good, as far as that can be told.
    #[must_use]
    pub fn token_remaining(&self) -> Option<Duration> {
        self.expiry()?.remaining()
    }

    /// Whether the token can be refreshed at all.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.refresh_options().is_some()
    }

    pub(super) fn expiry(&self) -> Option<Expiry> {
        let active = self.active()?;
        let (wall, server_wall) = (self.clock.wall(), self.clock.server_wall());
        Some(Expiry { facts: active.facts, saved_at: active.saved_at, wall, server_wall })
    }

    /// Whether a newer token may be expected for the present session.
    pub(super) fn refresh(&self) -> Refresh {
        match self.refresh_prospect() {
            Prospect::Good => Refresh::Expected,
            Prospect::Unlikely | Prospect::None => Refresh::Unavailable,
        }
    }

    /// Whether a verification would only meet a token that is about to be replaced.
    pub(super) fn refresh_comes_first(&self) -> bool {
        let goes_out = self.refresher.is_under_way() || self.refresh_due().is_some();
        goes_out
            && !self.refresher.has_failed()
            && (self.refresher.is_under_way() || self.has_run_out())
            && self.refresh() == Refresh::Expected
    }

    /// The app wants a newer token.
    pub(super) fn handle_refresh_wanted(&mut self, out: &mut Vec<Effect>) {
        if self.life == Life::Running && self.refresh() == Refresh::Expected {
            self.refresher.want(Want::App);
        } else {
            out.push(Effect::Notify(Notice::NotRefreshed));
        }
    }

    /// A 401 was received for the present token. Returns whether a refresh comes first (gate 3).
    pub(super) fn refresh_after_401(&mut self) -> bool {
        match self.refresh_prospect() {
            Prospect::None => false,
            Prospect::Unlikely | Prospect::Good => {
                self.refresher.want(Want::Unauthorized);
                true
            }
        }
    }

    pub(super) fn run_refresh(&mut self, out: &mut Vec<Effect>) {
        let wants = self.admission.wants_refresh(&self.admission_context());
        if wants && !self.refresher.is_under_way() {
            self.refresh_after_401();
        }
        let now = self.now();
        let is_due = |keeper: &Self| keeper.next_refresh().is_some_and(|at| at <= now);
        if is_due(self) && !self.reads.is_fresh(now) {
            // Another tab may have refreshed, or is about to with an attempt of its own.
            self.read_record(out);
            self.run_overdue_read(out);
        }
        if is_due(self) && self.may_refresh_now(out) {
            self.send_refresh(out);
        }
        self.release_refresh_lock(out);
    }

    /// Whether this tab has the lock, and has read the record since: another one may have
    /// refreshed before it gave the lock back.
    fn may_refresh_now(&mut self, out: &mut Vec<Effect>) -> bool {
        if !self.options.is_shared {
            return true;
        }
        match self.refresh_lock.next(self.now()) {
            Next::Ask => {
                out.push(Effect::Lock);
                false
            }
            Next::Wait => false,
            Next::Refresh { read_since } => {
                let is_read = self.reads.was_asked_since(read_since);
                if !is_read {
                    self.read_record(out);
                }
                is_read
            }
        }
    }

    /// The lock is held only while a refresh is under way, or about to be.
    fn release_refresh_lock(&mut self, out: &mut Vec<Effect>) {
        let now = self.now();
        let is_wanted = self.requests.any(Probe::Refresh)
            || self.reads.is_open()
            || self.refresh_due_here().is_some_and(|at| at <= now);
        if !is_wanted && self.refresh_lock.release() {
            out.push(Effect::Unlock);
        }
    }

    fn send_refresh(&mut self, out: &mut Vec<Effect>) {
        let now = self.now();
        let drawn = AttemptId(self.rng.draw());
        let Some(active) = self.active_mut() else { return };
        let generation = active.generation;
        let known = active.facts.refresh_attempt;
        let attempt = *active.facts.refresh_attempt.get_or_insert(drawn);
        if known.is_none() {
            // Before it is sent: whoever is loaded after a crash repeats this very attempt.
            out.push(Effect::StoreAttempt { generation, attempt });
        }
        self.refresher.begin(now);
        let limits = self.limits(Probe::Refresh);
        let request = self.requests.open(Probe::Refresh, Some(generation), now, limits);
        out.push(Effect::Refresh { request, generation, attempt });
    }

    pub(super) fn handle_refresh_answer(
        &mut self,
        id: RequestId,
        answer: &RefreshAnswer,
        out: &mut Vec<Effect>,
    ) {
        let request = self.requests.close(id);
        let request = request.filter(|it| it.generation == self.generation());
        let Some(request) = request else {
            if let Some(NewToken { token, .. }) = answer.token {
                out.push(Effect::DropToken { token });
            }
            return;
        };
        self.answered = self.now();
        self.log_answer(&request, &answer.outcome, out);
        let is_cookie = self.options.credential == Credential::Cookie;
        let finding = refresher::read(answer, is_cookie);
        if let (Some(NewToken { token, .. }), false) =
            (answer.token, matches!(finding, Finding::Refreshed(_)))
        {
            out.push(Effect::DropToken { token });
        }
        match finding {
            Finding::Refreshed(new) => {
                self.handle_app_proof(out);
                self.learn_issuers_clock(&answer.outcome);
                let took = self.refresher.took(self.now());
                let facts = begun_earlier(new.facts, took, self.clock.wall());
                let by_401 = self.enter_newer_token(new.token, facts, new.is_same, out);
                if by_401 {
                    self.verify_schedule.now(self.now());
                }
            }
            Finding::Rejected { .. } => {
                self.record_refresh_rejection(&request, &answer.outcome, out);
            }
            finding @ (Finding::Unavailable | Finding::Unusable) => {
                self.refresh_failed(&answer.outcome, finding, out);
            }
        }
    }

    /// The clock of the server that made the token tells best when the token runs out.
    fn learn_issuers_clock(&mut self, outcome: &Outcome) {
        let Outcome::Response(response) = outcome else { return };
        let server = self.names.own(Probe::Refresh, Verdict::Valid, response);
        if let Some(now) = server.now.or(response.date) {
            self.clock.learn(now);
        }
    }

    /// No verdict: the session is kept, and the attempt repeated.
    pub(super) fn refresh_failed(
        &mut self,
        outcome: &Outcome,
        finding: Finding,
        out: &mut Vec<Effect>,
    ) {
        let (now, low) = (self.now(), self.options.verify.retry_delay);
        let wait = self.refresher.failed(now, finding, retry_after(outcome), low, &mut self.rng);
        let status = match outcome {
            Outcome::Response(response) => Some(response.status),
            Outcome::NoAnswer | Outcome::NotSent => None,
        };
        let is_usable = finding != Finding::Unusable;
        self.log(out, Event::RefreshFailed { is_usable, wait, status });
        if *outcome == Outcome::NoAnswer {
            self.handle_unanswered(out);
        }
        out.push(Effect::Notify(Notice::NotRefreshed));
        resolve_verify_waiters(out);
    }

    /// Asks for the record first (gate 1).
    fn record_refresh_rejection(
        &mut self,
        request: &Request,
        outcome: &Outcome,
        out: &mut Vec<Effect>,
    ) {
        let (Some(generation), Outcome::Response(response)) = (request.generation, outcome) else {
            return;
        };
        let (at, grade, status) = (self.clock.wall(), Grade::Strong, response.status);
        let Origin { instance, boot } = origin(response);
        let answer = RejectedAnswer { at, status, grade, instance, boot };
        self.log(out, Event::RefreshRejected { status });
        self.pending_refresh_rejection = Some(PendingRefreshRejection { generation, answer });
        self.read_record(out);
    }

    /// The record is known again: a rejection of the present refresh token counts.
    pub(super) fn evaluate_refresh_rejection(&mut self, out: &mut Vec<Effect>) {
        let Some(pending) = self.pending_refresh_rejection.take() else { return };
        if self.generation() != Some(pending.generation) {
            return self.log(out, Event::RejectionIgnored { why: Reason::NewerSession });
        }
        let (now, confirm, woken) = (self.now(), self.options.confirm, self.prober.server.woken());
        if self.refresher.rejected(now, pending.answer, confirm, woken) {
            let is_over = self.has_run_out();
            let reason = if is_over { SignOutReason::Expired } else { SignOutReason::Rejected };
            let rejections = self.refresher.take_evidence();
            let conclusion = Conclusion { rule: Rule::RefreshRejected, chance: None };
            self.end(reason, Some(conclusion), rejections, out);
        }
    }

    /// The app has got a newer token by itself.
    pub(super) fn handle_renew(&mut self, new: NewToken, out: &mut Vec<Effect>) {
        if self.active().is_none() {
            out.push(Effect::DropToken { token: new.token });
            return;
        }
        self.abort(Probe::Refresh, out);
        self.enter_newer_token(new.token, new.facts, new.is_same, out);
    }

    /// The same session with a newer token. Returns whether it was wanted because of a 401.
    fn enter_newer_token(
        &mut self,
        token: crate::requests::TokenHandle,
        facts: TokenFacts,
        is_same: bool,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(ActiveSession { generation: before, verified_at, .. }) = self.active() else {
            return false;
        };
        let (before, verified_at) = (*before, *verified_at);
        let generation = self.next_generation().of_session(before.session_id);
        self.newest = Some(generation);
        let (now, expires_at) = (self.now(), facts.expires_at);
        let was_asked = self.replace_token(generation, facts, Some(self.clock.wall()), out);
        out.push(Effect::UseToken { token, generation });
        out.push(Effect::Store { generation, expires_at, verified_at });
        out.push(Effect::Forget { generation: before });
        out.push(Effect::Broadcast(Message::Written));
        let is_due = self
            .refresh_options()
            .and_then(|options| self.next_refresh_by_age(options))
            .is_some_and(|at| at.since(now) <= MIN_GAP);
        let gain = match (is_same, is_due || self.has_run_out()) {
            (true, _) => Gain::Same,
            (false, true) => Gain::Old,
            (false, false) => Gain::Newer,
        };
        let by_401 = self.refresher.refreshed(now, gain);
        self.tell_refreshed(was_asked, out);
        by_401
    }

    /// The session goes on with another token. Returns whether the server was being asked about
    /// the one before.
    pub(super) fn replace_token(
        &mut self,
        generation: Generation,
        facts: TokenFacts,
        saved_at: Option<UnixMillis>,
        out: &mut Vec<Effect>,
    ) -> bool {
        let was_asked = self.requests.any(Probe::Verify) || self.is_confirming();
        self.abort_verification(out);
        self.pending_refresh_rejection = None;
        if let Some(active) = self.active_mut() {
            (active.generation, active.facts, active.saved_at) = (generation, facts, saved_at);
            if matches!(active.verification, Verification::Suspect(_)) {
                // The rejections were about the token before.
                active.verification = Verification::Unverified;
            }
        }
        was_asked
    }

    /// What was asked about the token before is asked about this one.
    pub(super) fn tell_refreshed(&mut self, was_asked: bool, out: &mut Vec<Effect>) {
        self.log(out, Event::Refreshed {});
        out.push(Effect::Notify(Notice::Refreshed));
        if was_asked || self.verify_schedule.requested.is_some() {
            self.verify_schedule.now(self.now());
        }
    }

    /// The moment that follows from the token's age, while somebody uses the page.
    fn next_refresh_by_age(&self, options: &RefreshOptions) -> Option<Instant> {
        let spread = self.generation()?.token_id.0 as u8;
        let refresh_in = self.expiry()?.refresh_in(options.margin, spread)?;
        let due = self.now().plus(refresh_in).max(self.page.paused_until);
        let due = self.page.allows(due, self.options.health.as_ref())?;
        self.page.in_use(due, self.options.verify.when_idle)
    }

    fn refresh_prospect(&self) -> Prospect {
        if self.life != Life::Running || self.refresh_options().is_none() {
            return Prospect::None;
        }
        if self.awaits_end() {
            return Prospect::Good;
        }
        self.refresher.prospect(self.now(), self.has_run_out())
    }

    /// The options, where the session of now can be refreshed.
    fn refresh_options(&self) -> Option<&RefreshOptions> {
        let options = self.options.refresh.as_ref()?;
        let Session::Active(active) = &self.session else { return None };
        (!options.needs_token || active.facts.has_refresh_token).then_some(options)
    }
}
