//! Verification: what the answers of the verify path mean for a session that is not suspected.

use alloc::vec::Vec;

use super::answering::{origin, retry_after};
use super::schedule::Kind;
use super::{Acceptance, Keeper, Life, Session, Verification};
use crate::answer::Source;
use crate::answer::{Outcome, Probe, Verdict};
use crate::effect::{Effect, Notice};
use crate::event::{Event, Reason};
use crate::prober::HINT_EVERY;
use crate::requests::{Request, Requests};
use crate::session::TokenFacts;
use crate::time::{Duration, Instant};

/// The pauses before the learning samples, in seconds: longer than the usual keep-alive, and over
/// in two minutes.
const LEARNING_DELAYS: [u64; 6] = [8, 10, 12, 15, 20, 30];

/// When a path that led nowhere is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With backoff from two seconds on.
    Soon,
    /// So where nothing was verified in this page yet, else at the regular interval.
    Usual,
    /// At the regular interval, and before it at the first sign of life of the server.
    Periodic,
}

impl Keeper {
    /// When the next verification goes out; `None` while one is under way, where there is no
    /// session, nobody looks, or another tab makes it.
    #[must_use]
    pub fn next_verification(&self) -> Option<Instant> {
        self.verification_due().filter(|_| self.leads())
    }

    /// The same for the session, whichever tab makes it.
    pub(super) fn verification_due(&self) -> Option<Instant> {
        let wanted = match &self.session {
            Session::SignedOut => false,
            // With a cookie only the server knows whether there is a session.
            Session::Restoring => self.asks_the_server(),
            Session::Active(active) => !matches!(active.verification, Verification::Suspect(_)),
        };
        // What is stored comes first: another tab may have signed out, and a rejection that waits
        // for the record is the answer to whatever would be asked.
        let waits = self.requests.any(Probe::Verify)
            || self.reads.is_open()
            || !self.pending_rejections.is_empty()
            || self.refresh_comes_first()
            || self.awaits_acquired();
        if !wanted || self.life != Life::Running || waits {
            return None;
        }
        let schedule = &self.verify_schedule;
        let due = schedule.due?.max(schedule.not_before);
        let due = if self.prober.server.is_bad() || schedule.kind == Kind::Retry {
            due.max(self.requests.available_at(Requests::MAX, self.window()))
        } else {
            due
        };
        match schedule.kind {
            Kind::Requested | Kind::Retry => Some(due),
            Kind::Soon => self.page.allows(due, self.options.health.as_ref()),
            Kind::Periodic => {
                let due = self.page.allows(due, self.options.health.as_ref())?;
                self.page.in_use(due, self.options.verify.when_idle)
            }
        }
    }

    pub(super) fn send_verification(&mut self, out: &mut Vec<Effect>) {
        if self.verify_schedule.kind == Kind::Periodic {
            self.log(out, Event::Periodic {});
        }
        if self.admission.awaits_verdict_since().is_some() {
            self.verify_schedule.hinted = Some(self.now());
        }
        let generation = self.generation();
        self.send(Probe::Verify, generation, out);
    }

    pub(super) fn handle_verify(&mut self, out: &mut Vec<Effect>) {
        if self.life != Life::Running || matches!(self.session, Session::SignedOut) {
            resolve_verify_waiters(out);
        } else {
            self.verify_schedule.request(self.now());
        }
    }

    /// A 401 of any request of the app is a hint: verify now, at most once in 10 s, so that an
    /// endpoint which always says 401 is no storm.
    pub(super) fn handle_report(&mut self, status: u16, out: &mut Vec<Effect>) {
        let now = self.now();
        let rested = self.verify_schedule.hinted.is_none_or(|at| now.since(at) >= HINT_EVERY);
        if status == 401 && rested && self.active().is_some() {
            self.verify_schedule.hinted = Some(now);
            self.verify_schedule.again = self.requests.any(Probe::Verify);
            self.verify_schedule.now(now);
            self.log(out, Event::Kept { why: Reason::Hint, status: Some(status) });
        }
    }

    /// The first good answer after an outage starts a verification at once.
    pub(super) fn verify_when_back(&mut self, out: &mut Vec<Effect>) {
        // A request that a dead server took may never be answered.
        self.abort(Probe::Verify, out);
        let now = self.now();
        self.verify_schedule.next_after_recovery(now, &self.options.verify, &mut self.rng);
    }

    pub(super) fn handle_verdict(
        &mut self,
        request: &Request,
        verdict: Verdict,
        outcome: &Outcome,
        freshness: Source,
        out: &mut Vec<Effect>,
    ) {
        // Gate 1: an answer about an earlier token changes nothing newer (G6).
        if request.generation != self.generation() {
            return;
        }
        let status = status(outcome);
        self.note_check(request, verdict, status);
        self.verify_schedule.answered(verdict);
        if matches!(self.session, Session::Restoring) && !self.is_about_somebody(verdict) {
            self.handle_nobody(request, verdict, outcome, freshness, out);
            return self.apply_retry_after(retry_after(outcome));
        }
        if let (Verdict::Rejected(grade), Outcome::Response(response)) = (verdict, outcome) {
            self.next_periodic();
            self.record_rejection(request, grade, response, out);
            return;
        }
        self.note_unclear(verdict, status, out);
        match verdict {
            Verdict::Valid => self.handle_valid(request, outcome, out),
            Verdict::NoAnswer | Verdict::Unproven | Verdict::Redirected => {
                self.retry(request, verdict, status, out);
            }
            Verdict::Forbidden => {
                out.push(Effect::Notify(Notice::Forbidden));
                self.inconclusive(request, Reason::Forbidden, status, Next::Soon, out);
            }
            Verdict::NotFound => {
                self.ask_candidates(out);
                self.inconclusive(request, Reason::WrongPath, status, Next::Usual, out);
            }
            Verdict::ErrorShape => {
                self.inconclusive(request, Reason::ErrorShape, status, Next::Soon, out);
            }
            Verdict::Void | Verdict::Inconclusive | Verdict::Rejected(_) => {
                let (why, next) = match (freshness, verdict, status) {
                    (Source::Stored, ..) => (Reason::Stale, Next::Usual),
                    (Source::Unclear, ..) => (Reason::Stale, Next::Soon),
                    (Source::Server, Verdict::Void, _) => (Reason::NotOurs, Next::Usual),
                    (Source::Server, _, Some(429)) => (Reason::Busy, Next::Usual),
                    (Source::Server, ..) => (Reason::NoVerdict, Next::Usual),
                };
                self.inconclusive(request, why, status, next, out);
            }
        }
        self.apply_retry_after(retry_after(outcome));
    }

    fn handle_valid(&mut self, request: &Request, outcome: &Outcome, out: &mut Vec<Effect>) {
        let facts = match outcome {
            Outcome::Response(response) => origin(response),
            Outcome::NoAnswer | Outcome::NotSent => return,
        };
        self.verify_path.accepted_at = Some(self.now());
        self.verify_path.suspicion_told = false;
        if !self.refute(request.sent, facts, out) {
            let (why, next) = (Reason::AskedBefore, Next::Usual);
            return self.inconclusive(request, why, Some(200), next, out);
        }
        self.verify_schedule.accepted_here = true;
        self.refresher.accepted();
        self.acquirer.accepted();
        self.next_periodic();
        if let Some(sample_at) = self.next_learning_sample() {
            self.verify_schedule.no_later_than(sample_at);
        }
        if core::mem::take(&mut self.verify_schedule.again) {
            self.verify_schedule.now(self.now());
        }
        self.log(out, Event::Verified { facts });
        if matches!(self.session, Session::Restoring) {
            self.enter_session(None, TokenFacts::default(), out);
            self.verify_schedule.accepted_here = true;
        }
        out.push(Effect::SetUser { request: request.id });
        let at = self.clock.wall();
        let has_run_out = self.has_run_out();
        if let Some(active) = self.active_mut() {
            active.outlives_expiry |= has_run_out;
            active.verified_at = Some(at);
            active.acceptance = Acceptance::Possible;
            active.verification = Verification::Verified;
        }
        // The record learns of it, once it is known that no other tab has written meanwhile.
        self.read_record(out);
        self.resolve_waiters(request, out);
    }

    /// No answer of the app. When the repeats are used up the session is kept and checked again
    /// at the first sign of life.
    pub(super) fn retry(
        &mut self,
        request: &Request,
        verdict: Verdict,
        status: Option<u16>,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now();
        if self.confirmation().is_some() {
            return self.inconclusive(request, Reason::NoAnswer, status, Next::Usual, out);
        }
        if verdict != Verdict::NoAnswer {
            self.note_unproven(verdict, status.unwrap_or(0), out);
        }
        self.note_cors(out);
        let options = &self.options.verify;
        if let Some(repeat) = self.verify_schedule.retry(now, options, &mut self.rng) {
            let (attempt, of, wait) = (repeat.attempt, options.retries, repeat.wait);
            if !matches!(self.session, Session::Restoring) {
                self.log(out, Event::Retry { attempt, of, wait });
            }
            return;
        }
        let is_redirect = verdict == Verdict::Redirected;
        let why = if is_redirect { Reason::Redirected } else { Reason::Network };
        // Health says when the server is back; a path that fails alone is asked in time.
        let next = if self.prober.server.is_bad() { Next::Periodic } else { Next::Soon };
        self.inconclusive(request, why, status, next, out);
        if self.prober.server.is_bad() && !self.health_is_usable() {
            // Verification is the only probe: it asks at the pace of a wake-up.
            let delay = self.prober.server.next_delay(now, self.page.is_hidden(), &mut self.rng);
            self.verify_schedule.at(now.plus(delay));
        }
    }

    /// A backend that names no instances is asked some times more while the token is known to be
    /// good: then a rejection can be believed soon.
    fn next_learning_sample(&mut self) -> Option<Instant> {
        let left = self.backend.samples_left();
        if left == 0 || self.instances.recent(self.now()).next().is_some() {
            return None;
        }
        let after = LEARNING_DELAYS[LEARNING_DELAYS.len().saturating_sub(left as usize)];
        Some(self.now().plus(self.rng.spread(Duration::from_secs(after))))
    }

    /// An answer that neither proves nor rejects anything: the session is kept as it is.
    pub(super) fn inconclusive(
        &mut self,
        request: &Request,
        why: Reason,
        status: Option<u16>,
        next: Next,
        out: &mut Vec<Effect>,
    ) {
        self.schedule_next(next);
        if !matches!(self.session, Session::Restoring) {
            self.log(out, Event::Kept { why, status });
        }
        self.resolve_waiters(request, out);
    }

    pub(super) fn schedule_next(&mut self, next: Next) {
        let soon = match next {
            Next::Soon => true,
            Next::Usual => !self.verify_schedule.accepted_here,
            Next::Periodic => false,
        };
        let (now, options) = (self.now(), &self.options.verify);
        if soon {
            self.verify_schedule.next_soon(now, options, &mut self.rng);
        } else {
            self.verify_schedule.next_periodic(now, options, &mut self.rng);
        }
    }

    fn next_periodic(&mut self) {
        let now = self.now();
        self.verify_schedule.next_periodic(now, &self.options.verify, &mut self.rng);
    }

    /// `Retry-After` is a floor for whatever comes next.
    fn apply_retry_after(&mut self, wait: Duration) {
        let floor = self.now().plus(wait);
        let not_before = self.verify_schedule.not_before.max(floor);
        self.verify_schedule.not_before = not_before;
        if let Some(confirmation) = self.confirmation() {
            confirmation.wait_until(floor);
        }
    }

    /// Whoever waits for a verification has the answer that there is, unless it was asked for
    /// after this request was sent: then the question is asked again.
    pub(super) fn resolve_waiters(&mut self, request: &Request, out: &mut Vec<Effect>) {
        if self.verify_schedule.requested.is_some_and(|requested| request.sent < requested) {
            return self.verify_schedule.now(self.now());
        }
        self.verify_schedule.requested = None;
        self.settle(out);
    }
}

pub(super) const fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Response(response) => Some(response.status),
        Outcome::NoAnswer | Outcome::NotSent => None,
    }
}

/// Whoever waits for a verification has the answer that there is.
pub(super) fn resolve_verify_waiters(out: &mut Vec<Effect>) {
    out.push(Effect::Notify(Notice::Settled));
}
