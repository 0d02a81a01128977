//! Judging a rejection: the record is read again, then gates 1 and 4 decide.

use alloc::vec::Vec;

use super::verifying::Next;
use super::{Acceptance, ActiveSession, Keeper, Session, Verification};
use crate::admission::Refresh;
use crate::answer::{Body, Grade, Probe, Response, Verdict};
use crate::backend::MIN_BURST_GAP;
use crate::confirm::{Confirmation, Corroboration, Rejection};
use crate::confirm_context::{ConfirmContext, ServerHealth, Token};
use crate::diagnosis::{Cause, Diagnosis};
use crate::effect::Effect;
use crate::event::{Event, Reason};
use crate::generation::Generation;
use crate::label::Origin;
use crate::outlook::{HealthPath, Outlook};
use crate::requests::{Request, Requests};
use crate::session::{RejectedAnswer, SignOutReason, TokenKind};
use crate::time::{Duration, Instant};

/// A connection that was quiet this long is closed, and the next one may meet another worker:
/// Node closes an idle one after 6.1 s, uvicorn after 5 s, gunicorn after 2 s.
const CONNECTION_IDLE: Duration = Duration::from_millis(6_250);

/// A rejection that waits for the record: another tab may have signed in or out meanwhile.
#[derive(Debug)]
pub(super) struct PendingRejection {
    generation: Option<Generation>,
    rejection: Rejection,
}

impl Keeper {
    /// Takes a rejection that passed gate 2 and asks for the record (gate 1).
    pub(super) fn record_rejection(
        &mut self,
        request: &Request,
        grade: Grade,
        response: &Response,
        out: &mut Vec<Effect>,
    ) {
        let server = self.names.own(Probe::Verify, Verdict::Rejected(grade), response);
        let facts = Origin { instance: server.instance, boot: server.boot };
        let at = self.clock.wall();
        let Origin { instance, boot } = facts;
        let rejection = RejectedAnswer { at, status: response.status, grade, instance, boot };
        self.log(out, Event::Rejected { grade, status: response.status, facts });
        let rejection = Rejection {
            sent_at: request.sent,
            received_at: self.now(),
            is_page: response.body == Body::Html,
            rejection,
        };
        self.pending_rejections
            .push(PendingRejection { generation: request.generation, rejection });
        self.read_record(out);
    }

    /// The record is known again: counts the rejections that are about the session of now.
    pub(super) fn evaluate_pending(&mut self, out: &mut Vec<Effect>) {
        self.evaluate_refresh_rejection(out);
        self.evaluate_acquired(out);
        let pending_rejections = core::mem::take(&mut self.pending_rejections);
        if pending_rejections.is_empty() {
            return;
        }
        for PendingRejection { generation, rejection } in pending_rejections {
            if generation != self.generation() {
                self.log(out, Event::RejectionIgnored { why: Reason::NewerSession });
                continue;
            }
            match &self.session {
                // A cookie that was never there: nothing ends, nobody is told a reason.
                Session::Restoring => {
                    self.log(out, Event::NoUser { status: rejection.rejection.status });
                    self.enter_nobody(out);
                }
                Session::SignedOut => {}
                Session::Active(_) => {
                    // Gate 3: unless a refresh can fix it.
                    if self.is_confirming() || !self.refresh_after_401() {
                        self.add_rejection(rejection, out);
                    }
                }
            }
        }
        self.evaluate(out);
        self.settle(out);
    }

    fn add_rejection(&mut self, rejection: Rejection, out: &mut Vec<Effect>) {
        let (now, received_at) = (self.now(), rejection.received_at);
        let RejectedAnswer { status, grade, instance, .. } = rejection.rejection;
        let is_first = self.confirmation().is_none();
        if is_first {
            self.enter_suspect(received_at);
            out.push(Effect::ReadBackend);
        }
        let is_usable = self.health_is_usable();
        let Some(confirmation) = self.confirmation() else { return };
        confirmation.rejected(rejection);
        let is_usable = is_usable && !confirmation.is_unprovable();
        if confirmation.needs_health() && !is_usable {
            confirmation.proven(now, Corroboration::Missing);
        } else if confirmation.needs_health() {
            self.prober.ping_at(now);
        }
        if is_first {
            self.log_suspect(status, out);
            if grade == Grade::Strong && instance.is_none() {
                // Perhaps another worker knows better: asked now, that is known in no time.
                let asks_health = is_usable && self.asks_who_rejects().is_some();
                let available = self.requests.available(now, MIN_BURST_GAP);
                self.ask(available.saturating_sub(usize::from(asks_health)), out);
            }
        }
    }

    /// One line for the developer: what is being confirmed, how long at most, and why so long.
    fn log_suspect(&mut self, status: u16, out: &mut Vec<Effect>) {
        let health = if self.health_is_usable() { HealthPath::Usable } else { HealthPath::Missing };
        let context = self.confirm_context();
        let Session::Active(ActiveSession { verification, .. }) = &self.session else { return };
        let Verification::Suspect(confirmation) = verification else { return };
        let Outlook { limit, basis } = confirmation.outlook(&context, health);
        // A confirmation that begins again and again without a result is told of once.
        if !core::mem::replace(&mut self.verify_path.suspicion_told, true) {
            self.log(out, Event::Suspect { status, limit, basis });
        }
    }

    fn confirm_context(&self) -> ConfirmContext<'_> {
        ConfirmContext {
            now: self.now(),
            instances: &self.instances,
            woken: self.prober.server.woken(),
            backend: &self.backend,
            token: self.token(),
            confirm: self.options.confirm,
        }
    }

    fn enter_suspect(&mut self, received_at: Instant) {
        if let Some(active) = self.active_mut() {
            active.verification = Verification::Suspect(Confirmation::new(received_at));
        }
    }

    /// Ends the session if the rejections are to be believed, or the confirmation if nothing speaks
    /// for it any more.
    pub(super) fn evaluate(&mut self, out: &mut Vec<Effect>) {
        let context = self.confirm_context();
        let (now, token) = (context.now, context.token);
        let Some(active) = self.active() else { return };
        let Verification::Suspect(confirmation) = &active.verification else { return };
        if self.awaits_end() {
            return;
        }
        if token == Token::RunOut && self.refresh() == Refresh::Expected {
            // It ran out meanwhile, which a refresh can fix (gate 3).
            self.refresh_after_401();
            if let Some(active) = self.active_mut() {
                active.verification = Verification::Unverified;
            }
            return;
        }
        if let Some(conclusion) = confirmation.verdict(context) {
            let reason = match token {
                Token::RunOut => SignOutReason::Expired,
                Token::Current | Token::New => SignOutReason::Rejected,
            };
            let Some(confirmation) = self.confirmation() else { return };
            let rejections = core::mem::replace(confirmation, Confirmation::new(now));
            self.explain(reason, out);
            self.end(reason, Some(conclusion), rejections.into_rejections(), out);
        } else if confirmation.is_unsupported() {
            let why = confirmation.why_unsupported();
            // Another process is another confirmation, and is told of as one.
            self.verify_path.suspicion_told &= why != Reason::Restarted;
            if let Some(active) = self.active_mut() {
                active.verification = Verification::Unverified;
            }
            self.schedule_next(Next::Usual);
            self.log(out, Event::RejectionIgnored { why });
        }
    }

    /// By the server's clock, or by its age, unless the server has accepted it at a greater one.
    fn is_expired(&self, active: &ActiveSession) -> bool {
        let by_server = self.expiry().is_some_and(|expiry| expiry.has_run_out_by_server());
        by_server || self.has_run_out() && !active.outlives_expiry
    }

    fn token(&self) -> Token {
        match self.active() {
            Some(active) if self.is_expired(active) => Token::RunOut,
            Some(ActiveSession { acceptance: Acceptance::Never, .. }) => Token::New,
            _ => Token::Current,
        }
    }

    /// A token that did not survive a restart is told apart from one that was revoked.
    fn explain(&mut self, reason: SignOutReason, out: &mut Vec<Effect>) {
        let kind = self.active().map(|active| active.facts.kind);
        if reason == SignOutReason::Rejected && self.backend.is_new_process() {
            let cause = match kind {
                Some(TokenKind::Signed) => Cause::SigningKeyChanged,
                Some(TokenKind::Opaque) | None => Cause::TokensLost,
            };
            self.diagnose(out, Diagnosis::of(cause));
        }
    }

    /// A verification was accepted. Returns whether the answer may be believed: one that was
    /// asked before the first rejection neither adds nor clears.
    pub(super) fn refute(
        &mut self,
        sent_at: Instant,
        accepting: Origin,
        out: &mut Vec<Effect>,
    ) -> bool {
        let (now, wall, woken) = (self.now(), self.clock.wall(), self.prober.server.woken());
        let Some(confirmation) = self.confirmation() else {
            if self.backend.accepted(now, wall) {
                out.push(Effect::StoreBackend(self.backend.record()));
            }
            return true;
        };
        if !confirmation.is_refuted_by(sent_at) {
            return false;
        }
        let (rejections, bursts) = (confirmation.counted(), confirmation.bursts_of_the_server());
        let is_cold = confirmation.is_of_a_cold_server(woken);
        let is_of_one = confirmation.is_of_one_instance(accepting);
        // A store that is not ready yet says nothing of how consistent the backend is.
        self.backend.refuted(now, wall, if is_cold { 0 } else { bursts });
        out.push(Effect::StoreBackend(self.backend.record()));
        self.abort(Probe::Verify, out);
        self.pending_rejections.clear();
        self.log(out, Event::Refuted { rejections });
        if bursts > 0 && !is_cold && !is_of_one {
            self.diagnose(
                out,
                Diagnosis { count: rejections, ..Diagnosis::of(Cause::WorkersDisagree) },
            );
        }
        true
    }

    pub(super) fn waits_for_health(&self) -> bool {
        self.active().is_some_and(|active| match &active.verification {
            Verification::Suspect(confirmation) => confirmation.needs_health(),
            Verification::Unverified | Verification::Verified => false,
        })
    }

    /// Whether rejections are being confirmed, by bursts that keep the server awake as well.
    pub(super) fn is_confirming(&self) -> bool {
        self.active().is_some_and(|active| matches!(active.verification, Verification::Suspect(_)))
    }

    pub(super) fn next_burst(&self) -> Option<Instant> {
        let Verification::Suspect(confirmation) = &self.active()?.verification else { return None };
        // While the health path has not spoken another weak rejection would add nothing.
        let waits = self.waits_for_health() || !self.pending_rejections.is_empty();
        let waits = waits || self.awaits_end() || !self.leads();
        if waits || self.requests.any(Probe::Verify) {
            return None;
        }
        let closed = self.answered.plus(CONNECTION_IDLE);
        let due = confirmation.next_burst(self.prober.server.woken(), self.server_health(), closed);
        Some(due.max(self.requests.available_at(Requests::MAX, MIN_BURST_GAP)))
    }

    pub(super) fn send_burst(&mut self, out: &mut Vec<Effect>) {
        let (now, server_health) = (self.now(), self.server_health());
        let one_instance = self.instances.are_known() && self.instances.recent(now).count() == 1;
        let available = self.requests.available(now, MIN_BURST_GAP);
        let Some(confirmation) = self.confirmation() else { return };
        confirmation.burst_sent(now);
        let size = if one_instance { 1 } else { confirmation.burst_size(available, server_health) };
        self.ask(size, out);
    }

    /// When a confirmation asks the health path: a rejection that names no boot may come
    /// from a server that has just started again. At once, or together with the next burst, which
    /// would otherwise have to wait until the ping's connection is closed.
    pub(super) fn asks_who_rejects(&self) -> Option<Instant> {
        let Verification::Suspect(confirmation) = &self.active()?.verification else { return None };
        let is_known =
            self.prober.last_answer_of_health().is_some_and(|at| !confirmation.began_after(at));
        if is_known || confirmation.is_named() {
            return None;
        }
        let free = self.requests.available_at(Requests::MAX, MIN_BURST_GAP);
        let is_free = confirmation.began_after(free);
        let at = if is_free { free } else { self.next_burst()?.max(free) };
        Some(at.max(self.page.paused_until))
    }

    fn ask(&mut self, times: usize, out: &mut Vec<Effect>) {
        let generation = self.generation();
        for _ in 0..times {
            self.send(Probe::Verify, generation, out);
        }
    }

    /// Whether the health path says of a server that rejects weakly whether it is well.
    pub(super) fn has_telling_health(&self) -> bool {
        let is_unprovable = self.active().is_some_and(|active| match &active.verification {
            Verification::Suspect(confirmation) => confirmation.is_unprovable(),
            Verification::Unverified | Verification::Verified => false,
        });
        self.options.health.is_some() && !is_unprovable
    }

    fn server_health(&self) -> ServerHealth {
        // Without a health path a weak rejection is all that a server that is well may say.
        let is_bad = self.prober.server.is_bad() && self.has_telling_health();
        if is_bad { ServerHealth::Bad } else { ServerHealth::Well }
    }
}
