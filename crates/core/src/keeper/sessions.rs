//! Sessions begin, are restored and end; the server is told of a sign-out.

use alloc::vec::Vec;

use super::verifying::resolve_verify_waiters;
use super::{Acceptance, ActiveSession, Keeper, Life, Session, Verification};
use crate::answer::{Probe, Verdict};
use crate::confirm::Conclusion;
use crate::effect::{Effect, Notice};
use crate::generation::{Generation, TokenId};
use crate::history::Event;
use crate::input::Record;
use crate::message::Message;
use crate::options::Credential;
use crate::requests::Request;
use crate::session::{RejectedAnswer, SignOut, SignOutReason, TokenKind};
use crate::time::{Duration, Instant, UnixMillis};

/// A store that takes longer counts as unreadable (G4).
const READING: Duration = Duration::from_secs(2);

/// What the app asked for before the record was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum PendingCommand {
    SignIn { expires_at: Option<UnixMillis>, kind: TokenKind },
    SignOut,
}

/// A sign-out that the server has not heard of yet.
#[derive(Debug)]
pub(super) struct Revocation {
    generation: Generation,
    attempt: u8,
    due: Option<Instant>,
}

impl Keeper {
    pub(super) fn read_record(&mut self, out: &mut Vec<Effect>) {
        if self.life == Life::Running && self.reading.is_none() {
            self.reading = Some(self.now().plus(READING));
            out.push(Effect::ReadRecord);
        }
    }

    pub(super) fn handle_record(&mut self, record: Record, out: &mut Vec<Effect>) {
        if self.reading.take().is_none() {
            return;
        }
        let newest = self.newest;
        if let Record::ActiveSession { generation, .. } | Record::Tombstone { generation, .. } =
            &record
        {
            self.newest = self.newest.max(generation.number);
        }
        match &self.session {
            Session::Restoring => self.restore(record, out),
            Session::SignedOut => self.follow_sign_in(&record, newest, out),
            Session::ActiveSession(active) => {
                let (ours, verified_at) = (active.generation, active.verified_at);
                let expires_at = active.expires_at;
                self.compare(ours, expires_at, verified_at, record, out);
            }
        }
        self.run_pending(out);
        self.evaluate_pending(out);
    }

    fn restore(&mut self, record: Record, out: &mut Vec<Effect>) {
        match record {
            Record::ActiveSession { generation, expires_at, verified_at, kind } => {
                self.log(out, Event::Restored);
                out.push(Effect::UseStoredToken { generation });
                self.enter_active(generation, expires_at, verified_at, kind);
                return;
            }
            Record::Tombstone { generation, sign_out, undelivered } => {
                self.sign_out = Some(sign_out);
                if undelivered && self.options.credential == Credential::Cookie {
                    // Nothing is verified back in before the server has heard of the sign-out.
                    self.enter_signed_out(out);
                    self.schedule_revocation(generation);
                    return;
                }
            }
            Record::Absent => self.log(out, Event::NoRecord),
            Record::Corrupt => {
                self.log(out, Event::RecordCorrupt);
                out.push(Effect::EraseRecord);
            }
            Record::Foreign => self.log(out, Event::RecordForeign),
            Record::Unreadable => self.log(out, Event::StoreFailed),
        }
        if !self.asks_the_server() {
            self.enter_signed_out(out);
        }
    }

    /// Signed out here; a record that is newer than that is another tab's sign-in. An older one
    /// is a tombstone that the store did not take.
    fn follow_sign_in(&mut self, record: &Record, newest: u32, out: &mut Vec<Effect>) {
        if let Record::ActiveSession { generation, expires_at, verified_at, kind } = *record
            && generation.number > newest
        {
            out.push(Effect::UseStoredToken { generation });
            self.enter_active(generation, expires_at, verified_at, kind);
            self.verify_schedule.anew(self.now());
            self.log(out, Event::SignedIn);
            out.push(Effect::Notify(Notice::SignedIn { from_other_tab: true }));
        }
    }

    /// Signed in here: whoever wrote last has the word, unless what is there is older.
    fn compare(
        &mut self,
        ours: Generation,
        expires_at: Option<UnixMillis>,
        verified_at: Option<UnixMillis>,
        record: Record,
        out: &mut Vec<Effect>,
    ) {
        match record {
            Record::ActiveSession { generation, expires_at, verified_at, kind }
                if generation != ours && generation.number >= ours.number =>
            {
                self.abort(Probe::Verify, out);
                out.push(Effect::Forget { generation: ours });
                out.push(Effect::UseStoredToken { generation });
                self.enter_active(generation, expires_at, verified_at, kind);
                self.verify_schedule.anew(self.now());
            }
            Record::Tombstone { generation, sign_out, .. }
                if generation == ours || generation.number > ours.number =>
            {
                let (reason, rule) = (sign_out.reason, sign_out.rule);
                self.leave(SignOut { from_other_tab: true, ..sign_out }, out);
                self.log(out, Event::SignedOut { reason, rule, from_other_tab: true });
            }
            // An absent record is never a sign-out: it is written back.
            Record::Absent | Record::Corrupt => {
                out.push(Effect::Store { generation: ours, expires_at, verified_at });
            }
            Record::ActiveSession { .. }
            | Record::Tombstone { .. }
            | Record::Foreign
            | Record::Unreadable => {}
        }
    }

    pub(super) fn handle_sign_in(
        &mut self,
        expires_at: Option<UnixMillis>,
        kind: TokenKind,
        out: &mut Vec<Effect>,
    ) {
        if matches!(self.session, Session::Restoring) && self.reading.is_some() {
            self.pending_command = Some(PendingCommand::SignIn { expires_at, kind });
            return;
        }
        if self.options.credential == Credential::Cookie {
            // The new cookie is the one that a late sign-out request would end.
            self.abort(Probe::SignOut, out);
            self.revocation = None;
        }
        self.abort(Probe::Verify, out);
        self.pending_rejections.clear();
        if let Some(generation) = self.generation() {
            out.push(Effect::Forget { generation });
        }
        self.enter_session(expires_at, kind, out);
        self.verify_schedule.anew(self.now());
    }

    pub(super) fn handle_sign_out(&mut self, out: &mut Vec<Effect>) {
        match self.session {
            Session::Restoring if self.reading.is_some() => {
                self.pending_command = Some(PendingCommand::SignOut)
            }
            Session::Restoring => {
                // A cookie nobody has asked about yet: it is ended all the same.
                let generation = self.next_generation();
                self.enter_active(generation, None, None, TokenKind::Opaque);
                self.end(SignOutReason::User, None, Vec::new(), out);
            }
            Session::SignedOut => {}
            Session::ActiveSession(_) => self.end(SignOutReason::User, None, Vec::new(), out),
        }
    }

    fn run_pending(&mut self, out: &mut Vec<Effect>) {
        match self.pending_command.take() {
            Some(PendingCommand::SignIn { expires_at, kind }) => {
                self.handle_sign_in(expires_at, kind, out)
            }
            Some(PendingCommand::SignOut) => self.handle_sign_out(out),
            None => {}
        }
    }

    /// A new session, written down and told.
    pub(super) fn enter_session(
        &mut self,
        expires_at: Option<UnixMillis>,
        kind: TokenKind,
        out: &mut Vec<Effect>,
    ) {
        let generation = self.next_generation();
        self.enter_active(generation, expires_at, None, kind);
        if let Some(active) = self.active_mut() {
            active.acceptance = Acceptance::Never;
        }
        self.log(out, Event::SignedIn);
        out.push(Effect::Store { generation, expires_at, verified_at: None });
        out.push(Effect::Broadcast(Message::Written { generation }));
        out.push(Effect::Notify(Notice::SignedIn { from_other_tab: false }));
    }

    fn enter_active(
        &mut self,
        generation: Generation,
        expires_at: Option<UnixMillis>,
        verified_at: Option<UnixMillis>,
        kind: TokenKind,
    ) {
        let verification = Verification::Unverified;
        let acceptance = Acceptance::Perhaps;
        let active =
            ActiveSession { generation, expires_at, verified_at, kind, acceptance, verification };
        self.session = Session::ActiveSession(active);
        self.sign_out = None;
    }

    pub(super) fn enter_signed_out(&mut self, out: &mut Vec<Effect>) {
        self.session = Session::SignedOut;
        resolve_verify_waiters(out);
    }

    /// Ends the session here: the one way out, with the reason and the evidence on record.
    pub(super) fn end(
        &mut self,
        reason: SignOutReason,
        finding: Option<Conclusion>,
        rejections: Vec<RejectedAnswer>,
        out: &mut Vec<Effect>,
    ) {
        let Some(generation) = self.generation() else { return };
        let undelivered = reason == SignOutReason::User && self.options.tell_sign_out;
        let at = self.clock.wall();
        let rule = finding.map(|finding| finding.rule);
        let chance = finding.and_then(|finding| finding.chance);
        let sign_out = SignOut { reason, at, from_other_tab: false, rule, chance, rejections };
        out.push(Effect::WriteTombstone { generation, sign_out: sign_out.clone(), undelivered });
        out.push(Effect::Broadcast(Message::Written { generation }));
        self.leave(sign_out, out);
        self.log(out, Event::SignedOut { reason, rule, from_other_tab: false });
        if undelivered {
            self.schedule_revocation(generation);
        }
    }

    fn leave(&mut self, sign_out: SignOut, out: &mut Vec<Effect>) {
        self.abort(Probe::Verify, out);
        self.pending_rejections.clear();
        if sign_out.from_other_tab
            && let Some(generation) = self.generation()
        {
            out.push(Effect::Forget { generation });
        }
        self.sign_out = Some(sign_out.clone());
        self.enter_signed_out(out);
        out.push(Effect::Notify(Notice::SignedOut(sign_out)));
    }

    fn next_generation(&mut self) -> Generation {
        self.newest = self.newest.saturating_add(1);
        Generation { number: self.newest, token_id: TokenId(self.rng.draw()) }
    }

    /// With a cookie only the server knows whether there is a session.
    pub(super) fn asks_the_server(&self) -> bool {
        self.options.credential == Credential::Cookie
    }

    fn schedule_revocation(&mut self, generation: Generation) {
        self.revocation = Some(Revocation { generation, attempt: 0, due: Some(self.now()) });
    }

    pub(super) fn next_revocation(&self) -> Option<Instant> {
        let revocation = self.revocation.as_ref()?;
        if self.requests.any(Probe::SignOut) { None } else { revocation.due }
    }

    pub(super) fn send_revocation(&mut self, out: &mut Vec<Effect>) {
        if let Some(revocation) = &self.revocation {
            self.send(Probe::SignOut, Some(revocation.generation), out);
        }
    }

    /// The server is back: tell it now.
    pub(super) fn expedite_revocation(&mut self) {
        let now = self.now();
        if let Some(revocation) = &mut self.revocation {
            revocation.due = Some(now);
        }
    }

    pub(super) fn postpone_revocation(&mut self) {
        let at = self.now().plus(self.page.spread_delay(&mut self.rng));
        if let Some(revocation) = &mut self.revocation {
            revocation.due = Some(at);
        }
    }

    pub(super) fn handle_revocation_answer(
        &mut self,
        request: &Request,
        verdict: Verdict,
        retry_after: Duration,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now();
        let (low, every) = (self.options.verify.retry_delay, self.options.verify.every);
        let retries = self.options.verify.retries;
        let Some(revocation) = &mut self.revocation else { return };
        if request.generation != Some(revocation.generation) {
            return;
        }
        if matches!(verdict, Verdict::NoAnswer | Verdict::Unproven) {
            let again = revocation.attempt < retries;
            revocation.attempt = revocation.attempt.saturating_add(1);
            // When the repeats are used up it is made good at the next sign of life, or in time
            // where the server was never seen to be away.
            let wait = if again {
                self.rng.decorrelated(low, low.times(4), low)
            } else {
                self.rng.spread(every)
            };
            revocation.due = Some(now.plus(wait.max(retry_after)));
            return;
        }
        let generation = revocation.generation;
        self.revocation = None;
        self.log(out, Event::SignOutTold);
        out.push(Effect::Forget { generation });
        // Only a cookie's tombstone holds back what comes after it.
        if let Some(sign_out) = self.sign_out.clone().filter(|_| self.asks_the_server()) {
            out.push(Effect::WriteTombstone { generation, sign_out, undelivered: false });
        }
    }
}
