//! Verification: when it is due, its repeats, and what its answers mean for a session that is
//! not suspected.

use alloc::vec::Vec;

use super::answering::{HINT_EVERY, origin, retry_after};
use super::{Acceptance, Keeper, Life, Session, Verification};
use crate::answer::{Outcome, Probe, Verdict};
use crate::diagnosis::{Cause, Diagnosis};
use crate::effect::{Effect, Notice};
use crate::history::{Event, Reason};
use crate::message::Message;
use crate::options::OriginRelation;
use crate::requests::{Request, Requests};
use crate::session::TokenFacts;
use crate::time::{Duration, Instant};

/// A verify path without an answer of the app through three signs of life is not waking up.
const FAILED_ROUNDS: u8 = 3;
/// Doubling the pause this often leaves it near the usual interval.
const DOUBLINGS: u8 = 7;

/// The pauses before the lessons, in seconds: longer than the usual keep-alive, and over in two
/// minutes.
const LEARNING_DELAYS: [u64; 6] = [8, 10, 12, 15, 20, 30];

/// One verification with its repeats, and when the next one is due.
#[derive(Debug, Default)]
pub(super) struct VerifySchedule {
    due: Option<Instant>,
    kind: Kind,
    attempt: u8,
    /// The delay before the repeat at hand.
    delay: Duration,
    /// What `Retry-After` forbids, whatever but the app hurries the verification.
    not_before: Instant,
    /// Signs of life since the verify path last answered as an app does.
    failed_rounds: u8,
    hinted: Option<Instant>,
    /// A request of the app was refused while a check was under way that may not know of it.
    again: bool,
    /// What the verify path has shown of itself since the page was loaded.
    path: Path,
}

/// What is known of the verify path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    #[default]
    Silent,
    /// It answered, with whatever status.
    Answers,
    /// It accepted a token: it is the right one.
    Right,
}

/// Why a verification goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Asked for: at start, by the app, by a sign of life. Sent whether or not anybody looks.
    #[default]
    Requested,
    /// The regular one.
    Periodic,
    /// A repeat.
    Retry,
}

impl VerifySchedule {
    pub(super) fn now(&mut self, now: Instant) {
        self.at(now);
        self.attempt = 0;
    }

    pub(super) fn at(&mut self, at: Instant) {
        self.due = Some(at);
        self.kind = Kind::Requested;
    }

    pub(super) fn no_later_than(&mut self, at: Instant) {
        self.due = self.due.map(|due| due.min(at));
    }

    /// A new token: what the server asked of the one before is past.
    pub(super) fn reset(&mut self, now: Instant) {
        self.now(now);
        self.not_before = now;
    }

    /// A request of the app waits for a check: the next one may go out 10 s after the last hint.
    pub(super) fn check_for_app(&mut self, now: Instant) {
        let allowed = self.hinted.map_or(now, |hinted| hinted.plus(HINT_EVERY)).max(now);
        if self.kind == Kind::Periodic || self.due.is_none_or(|due| due > allowed) {
            self.at(self.due.map_or(allowed, |due| due.min(allowed)));
        }
    }

    pub(super) const fn fails_alone(&self) -> bool {
        self.failed_rounds >= FAILED_ROUNDS
    }
}

impl Keeper {
    /// When the next verification goes out; `None` while one is under way, where there is no
    /// session, or nobody looks.
    #[must_use]
    pub fn next_verification(&self) -> Option<Instant> {
        let wanted = match &self.session {
            Session::SignedOut => false,
            // With a cookie only the server knows whether there is a session.
            // What is stored comes first: a tombstone may forbid the question.
            Session::Restoring => self.asks_the_server() && !self.reads.is_open(),
            Session::Active(active) => !matches!(active.verification, Verification::Suspect(_)),
        };
        // A refusal that waits for the record is the answer to whatever would be asked.
        let waits = self.requests.any(Probe::Verify) || !self.pending_rejections.is_empty();
        if !wanted || self.life != Life::Running || waits {
            return None;
        }
        let due = self.verify_schedule.due?.max(self.verify_schedule.not_before);
        let due = if self.server.is_bad() || self.verify_schedule.kind == Kind::Retry {
            due.max(self.requests.available_at(Requests::MAX, self.window()))
        } else {
            due
        };
        if self.verify_schedule.kind != Kind::Periodic {
            return Some(due);
        }
        let due = self.page.allows(due, self.options.health.as_ref())?;
        self.page.in_use(due, self.options.verify.when_idle)
    }

    pub(super) fn send_verification(&mut self, out: &mut Vec<Effect>) {
        if self.verify_schedule.kind == Kind::Periodic {
            self.log(out, Event::Periodic);
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
            self.verify_schedule.reset(self.now());
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

    /// The first good answer after a bad spell starts a verification at once. One that failed
    /// again and again though the server is well waits longer each time.
    pub(super) fn verify_when_back(&mut self, out: &mut Vec<Effect>) {
        self.verify_schedule.failed_rounds = self.verify_schedule.failed_rounds.saturating_add(1);
        if self.verify_schedule.fails_alone() && self.requests.any(Probe::Verify) {
            // It may only be slow: cut off each time, it would never be answered.
            return;
        }
        if self.verify_schedule.failed_rounds > 1 && self.verify_schedule.kind == Kind::Retry {
            // A good health path is no news to a verify path that fails by itself; the repeats
            // must come to their end.
            return;
        }
        // A request that a dead server took may never be answered.
        self.abort(Probe::Verify, out);
        let pause = match self.verify_schedule.failed_rounds {
            0 | 1 => Duration::ZERO,
            many => {
                let doubled = self.options.verify.retry_delay.times(1 << many.min(DOUBLINGS));
                self.rng.spread(doubled).min(self.options.verify.every)
            }
        };
        self.verify_schedule.now(self.now().plus(pause));
    }

    pub(super) fn handle_verdict(
        &mut self,
        request: &Request,
        verdict: Verdict,
        outcome: &Outcome,
        out: &mut Vec<Effect>,
    ) {
        // Gate 1: an answer about an earlier token changes nothing newer (G6).
        if request.generation != self.generation() {
            return;
        }
        let status = match outcome {
            Outcome::Response(response) => Some(response.status),
            Outcome::NoAnswer => None,
        };
        self.note_check(request, verdict, status);
        if !matches!(verdict, Verdict::NoAnswer | Verdict::Unproven) {
            self.verify_schedule.failed_rounds = 0;
        }
        if status.is_some() {
            self.verify_schedule.path = self.verify_schedule.path.max(Path::Answers);
        }
        if let (Verdict::Rejected(grade), Outcome::Response(response)) = (verdict, outcome) {
            self.next_periodic();
            self.record_rejection(request, grade, response, out);
            return;
        }
        match verdict {
            Verdict::Valid => self.handle_valid(request, outcome, out),
            Verdict::NoAnswer | Verdict::Unproven => self.retry(request, verdict, status, out),
            Verdict::Void => self.inconclusive(Reason::NotOurs, status, out),
            Verdict::Forbidden => {
                out.push(Effect::Notify(Notice::Forbidden));
                self.inconclusive(Reason::Forbidden, status, out);
            }
            Verdict::NotFound => {
                self.log(out, Event::WrongPath { status: 404 });
                self.suspect_path(404, out);
                self.inconclusive(Reason::WrongPath, status, out);
            }
            Verdict::Inconclusive | Verdict::Rejected(_) => {
                let why = if status == Some(429) { Reason::Busy } else { Reason::NoVerdict };
                self.inconclusive(why, status, out);
            }
        }
        self.apply_retry_after(retry_after(outcome));
    }

    fn handle_valid(&mut self, request: &Request, outcome: &Outcome, out: &mut Vec<Effect>) {
        let facts = match outcome {
            Outcome::Response(response) => origin(response),
            Outcome::NoAnswer => return,
        };
        self.verify_schedule.path = Path::Right;
        if !self.refute(request.sent, facts, out) {
            return self.inconclusive(Reason::AskedBefore, Some(200), out);
        }
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
        }
        out.push(Effect::SetUser { request: request.id });
        let at = self.clock.wall();
        if let Some(active) = self.active_mut() {
            active.verified_at = Some(at);
            active.acceptance = Acceptance::Possible;
            active.verification = Verification::Verified;
            let generation = active.generation;
            out.push(Effect::Broadcast(Message::Verified { generation, at }));
        }
        resolve_verify_waiters(out);
    }

    /// No answer of the app. When the repeats are used up the session is kept and checked again
    /// at the first sign of life.
    fn retry(
        &mut self,
        request: &Request,
        verdict: Verdict,
        status: Option<u16>,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now();
        if self.confirmation().is_some() {
            return self.inconclusive(Reason::NoAnswer, status, out);
        }
        let options = &self.options.verify;
        if self.verify_schedule.attempt < options.retries {
            let (low, of) = (options.retry_delay, options.retries);
            let before =
                if self.verify_schedule.attempt == 0 { low } else { self.verify_schedule.delay };
            let wait = self.rng.decorrelated(low, low.times(4), before);
            self.verify_schedule.delay = wait;
            self.verify_schedule.attempt += 1;
            let attempt = self.verify_schedule.attempt;
            self.verify_schedule.due = Some(now.plus(wait));
            self.verify_schedule.kind = Kind::Retry;
            self.log(out, Event::Retry { attempt, of, wait });
            return;
        }
        let health_is_fine = self.options.health.is_some() && !self.server.is_bad();
        if verdict == Verdict::Unproven && self.verify_schedule.fails_alone() && health_is_fine {
            let status = status.unwrap_or(0);
            self.log(out, Event::Misconfigured { probe: request.probe, status });
            self.suspect_path(status, out);
        }
        self.suspect_cors(out);
        self.inconclusive(Reason::Network, status, out);
        if self.options.health.is_none() {
            // Verification is the only probe: it asks at the pace of a wake-up.
            let delay = self.server.next_delay(now, self.page.is_hidden(), &mut self.rng);
            self.verify_schedule.at(now.plus(delay));
        }
    }

    /// A path that never accepted a token may be another one's.
    fn suspect_path(&mut self, status: u16, out: &mut Vec<Effect>) {
        if self.verify_schedule.path < Path::Right {
            let probe = Some(Probe::Verify);
            self.diagnose(out, Diagnosis { status, probe, ..Diagnosis::of(Cause::WrongPath) });
        }
    }

    /// Health, which needs no permission, answers again and again, and verify never did.
    fn suspect_cors(&mut self, out: &mut Vec<Effect>) {
        let from_other_tab = self.options.reach == OriginRelation::CrossOrigin;
        if from_other_tab
            && self.verify_schedule.fails_alone()
            && self.verify_schedule.path == Path::Silent
        {
            let (count, probe) = (self.verify_schedule.failed_rounds.into(), Some(Probe::Verify));
            self.diagnose(out, Diagnosis { count, probe, ..Diagnosis::of(Cause::BlockedByCors) });
        }
    }

    /// A backend that names no instances is asked some times more while the token is known to be
    /// good: then a refusal can be believed soon.
    fn next_learning_sample(&mut self) -> Option<Instant> {
        let left = self.backend.samples_left();
        if left == 0 || self.instances.lately(self.now()).next().is_some() {
            return None;
        }
        let after = LEARNING_DELAYS[LEARNING_DELAYS.len().saturating_sub(left as usize)];
        Some(self.now().plus(self.rng.spread(Duration::from_secs(after))))
    }

    /// An answer that neither proves nor refuses anything: the session is kept as it is.
    pub(super) fn inconclusive(&mut self, why: Reason, status: Option<u16>, out: &mut Vec<Effect>) {
        self.next_periodic();
        self.log(out, Event::Kept { why, status });
        resolve_verify_waiters(out);
    }

    fn next_periodic(&mut self) {
        let pause = self.rng.spread(self.options.verify.every);
        self.verify_schedule.due = Some(self.now().plus(pause));
        self.verify_schedule.kind = Kind::Periodic;
        self.verify_schedule.attempt = 0;
    }

    /// `Retry-After` is a floor for whatever comes next.
    fn apply_retry_after(&mut self, wait: Duration) {
        let floor = self.now().plus(wait);
        self.verify_schedule.not_before = self.verify_schedule.not_before.max(floor);
        if let Some(confirmation) = self.confirmation() {
            confirmation.wait_until(floor);
        }
    }
}

/// Whoever waits for a verification has the answer that there is.
pub(super) fn resolve_verify_waiters(out: &mut Vec<Effect>) {
    out.push(Effect::Notify(Notice::Settled));
}
