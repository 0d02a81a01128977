//! Acquiring: a token without the user, where there is none or the server has ended its session.
//!
//! Rule: whoever was signed out by the app or by the user stays so until the next sign-in. The end
//! of a session waits for one attempt, and no longer than [`FIRST_ANSWER`].

use alloc::vec::Vec;

use super::records::LateRecord;
use super::{Keeper, Life, Session};
use crate::answer::{Outcome, Probe};
use crate::confirm::Conclusion;
use crate::effect::Effect;
use crate::event::Event;
use crate::input::Record;
use crate::options::Credential;
use crate::page::Presence;
use crate::refresher::{self, Finding, NewToken, RefreshAnswer};
use crate::requests::RequestId;
use crate::session::{RejectedAnswer, SignOut, SignOutReason};
use crate::time::{Duration, Instant};

use super::answering::retry_after;

/// How long a page that starts, or a session that is over, waits for the first attempt.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What waits for the attempt that is under way.
#[derive(Debug)]
pub(super) struct Awaiting {
    until: Instant,
    /// The verdict on the session, or none where there is no session.
    end: Option<End>,
}

/// The end of a session.
#[derive(Debug)]
pub(super) struct End {
    pub(super) reason: SignOutReason,
    pub(super) conclusion: Option<Conclusion>,
    pub(super) rejections: Vec<RejectedAnswer>,
}

impl Keeper {
    /// When the app is asked for a token, or nobody waits for it any longer.
    pub(super) fn next_acquire(&self) -> Option<Instant> {
        let until = self.awaiting.as_ref().map(|awaiting| awaiting.until);
        let attempt = self.next_attempt_to_acquire();
        until.into_iter().chain(attempt).min()
    }

    pub(super) fn run_acquire(&mut self, out: &mut Vec<Effect>) {
        let now = self.now();
        let is_due = |keeper: &Self| keeper.next_attempt_to_acquire().is_some_and(|at| at <= now);
        if is_due(self) && !self.reads.is_fresh(now) {
            // Another tab may have signed in or out.
            self.read_record(out);
            self.run_overdue_read(out);
        }
        if is_due(self) {
            self.acquirer.begin(now);
            let limits = self.limits(Probe::Acquire);
            let request = self.requests.open(Probe::Acquire, None, now, limits);
            out.push(Effect::Acquire { request });
        }
        if self.awaiting.as_ref().is_some_and(|awaiting| awaiting.until <= now) {
            self.stop_awaiting(out);
        }
    }

    /// Nobody is signed in: that is so only when no token can be acquired.
    pub(super) fn enter_nobody(&mut self, out: &mut Vec<Effect>) {
        if self.awaiting.is_some() && self.may_acquire() {
            return;
        }
        if self.may_acquire_now() {
            self.awaiting = Some(Awaiting { until: self.now().plus(FIRST_ANSWER), end: None });
            return;
        }
        self.forget_acquiring(out);
        self.enter_signed_out(out);
    }

    /// Whether the end of the session waits for an attempt to acquire another one. It is given
    /// back where it does not.
    pub(super) fn await_before(&mut self, end: End, out: &mut Vec<Effect>) -> Option<End> {
        let is_by_server = matches!(end.reason, SignOutReason::Rejected | SignOutReason::Expired);
        if !is_by_server || self.awaiting.is_some() || !self.may_acquire_now() {
            return Some(end);
        }
        self.abort_verification(out);
        self.abort(Probe::Refresh, out);
        self.awaiting = Some(Awaiting { until: self.now().plus(FIRST_ANSWER), end: Some(end) });
        None
    }

    /// Whether the session is over unless another one can be acquired.
    pub(super) fn awaits_end(&self) -> bool {
        self.awaiting.as_ref().is_some_and(|awaiting| awaiting.end.is_some())
    }

    /// Whether a token may come that nobody has to sign in for.
    pub(super) const fn awaits_acquired(&self) -> bool {
        self.awaiting.is_some()
    }

    /// The page slept: what waits does so from now.
    pub(super) fn restart_acquiring(&mut self) {
        let now = self.now();
        self.requests.restart(Probe::Acquire, now);
        if let Some(awaiting) = &mut self.awaiting {
            awaiting.until = now.plus(FIRST_ANSWER);
        }
    }

    /// Somebody has decided otherwise meanwhile.
    pub(super) fn forget_acquiring(&mut self, out: &mut Vec<Effect>) {
        self.abort(Probe::Acquire, out);
        self.awaiting = None;
        if let Some(NewToken { token, .. }) = self.acquired.take() {
            out.push(Effect::DropToken { token });
        }
    }

    /// No token came in time: what waited for it happens.
    pub(super) fn stop_awaiting(&mut self, out: &mut Vec<Effect>) {
        let Some(Awaiting { end, .. }) = self.awaiting.take() else { return };
        match end {
            Some(end) => self.conclude(end, out),
            None if matches!(self.session, Session::Restoring) => self.enter_signed_out(out),
            None => {}
        }
    }

    pub(super) fn handle_acquire_answer(
        &mut self,
        id: RequestId,
        answer: &RefreshAnswer,
        out: &mut Vec<Effect>,
    ) {
        let is_cookie = self.options.credential == Credential::Cookie;
        let finding = refresher::read(answer, is_cookie);
        let is_acquired = matches!(finding, Finding::Refreshed(_));
        let request = self.requests.close(id);
        if let (Some(NewToken { token, .. }), true) =
            (answer.token, request.is_none() || !is_acquired)
        {
            out.push(Effect::DropToken { token });
        }
        let Some(request) = request else { return };
        self.log_answer(&request, &answer.outcome, out);
        match finding {
            Finding::Refreshed(new) => {
                self.acquired = Some(new);
                // Another tab may have signed in or out meanwhile.
                self.read_record(out);
            }
            Finding::Rejected { .. } => {
                self.acquirer.declined();
                self.log(out, Event::AcquireDeclined {});
                self.stop_awaiting(out);
            }
            finding @ (Finding::Unavailable | Finding::Unusable) => {
                self.acquire_failed(&answer.outcome, finding, out);
            }
        }
    }

    /// Nothing came of it: it is asked again, and nobody waits for that.
    pub(super) fn acquire_failed(
        &mut self,
        outcome: &Outcome,
        finding: Finding,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now();
        let wait = self.acquirer.postpone(now, retry_after(outcome), &mut self.rng);
        let status = match outcome {
            Outcome::Response(response) => Some(response.status),
            Outcome::NoAnswer | Outcome::NotSent => None,
        };
        let is_usable = finding != Finding::Unusable;
        self.log(out, Event::AcquireFailed { is_usable, wait, status });
        self.stop_awaiting(out);
    }

    /// The record is known again: a session begins, unless somebody decided otherwise meanwhile.
    pub(super) fn evaluate_acquired(&mut self, out: &mut Vec<Effect>) {
        let Some(NewToken { token, facts, .. }) = self.acquired.take() else { return };
        let is_wanted = self.may_acquire() && (self.awaits_end() || self.active().is_none());
        if !is_wanted {
            out.push(Effect::DropToken { token });
            return;
        }
        self.acquirer.postpone(self.now(), Duration::ZERO, &mut self.rng);
        self.handle_sign_in(Some(token), facts, out);
    }

    /// The app signs out where there is no session: from then on none is acquired.
    pub(super) fn refuse_acquiring(&mut self, out: &mut Vec<Effect>) {
        if !self.may_acquire() {
            return;
        }
        self.forget_acquiring(out);
        self.sign_out_nobody(out);
    }

    /// Who signs out in another tab, where nobody is signed in here, does so here as well.
    pub(super) fn heed_sign_out(&mut self, record: &Record) {
        let Record::Tombstone { generation, sign_out, .. } = record else { return };
        let is_newer = self.newest.is_none_or(|newest| generation.number > newest.number);
        if self.options.acquire && is_newer {
            self.sign_out = Some(SignOut { from_other_tab: true, ..sign_out.clone() });
        }
    }

    fn next_attempt_to_acquire(&self) -> Option<Instant> {
        let is_wanted = self.awaiting.is_some() || matches!(self.session, Session::SignedOut);
        let waits = self.reads.is_open() || self.acquired.is_some();
        if !is_wanted || waits || !self.may_acquire() || self.requests.any(Probe::Acquire) {
            return None;
        }
        // One tab asks for all. Two that start at the same moment may both, which costs a token.
        let due = self.acquirer.next_attempt().filter(|_| self.leads())?;
        self.page.allows(due.max(self.page.paused_until), self.options.health.as_ref())
    }

    /// Whether an attempt goes out now.
    fn may_acquire_now(&self) -> bool {
        let now = self.now();
        let due = self.acquirer.next_attempt().filter(|at| *at <= now);
        let due = due.and_then(|_| self.page.allows(now, self.options.health.as_ref()));
        due.is_some() && self.may_acquire() && !self.requests.any(Probe::Acquire)
    }

    /// Whether a session may begin that nobody signs in for.
    fn may_acquire(&self) -> bool {
        let is_refused = self.sign_out.as_ref().is_some_and(|sign_out| match sign_out.reason {
            SignOutReason::User | SignOutReason::Idle | SignOutReason::Age => true,
            SignOutReason::Rejected | SignOutReason::Expired => false,
        });
        self.options.acquire
            && self.life == Life::Running
            && self.page.presence != Presence::Suspended
            // A session may still come out of a store that is slow.
            && self.late_record != LateRecord::Wanted
            && !is_refused
    }
}
