//! Sessions begin and end, and the server is told of a sign-out.

use alloc::vec::Vec;

use super::acquiring::End;
use super::records::LateRecord;
use super::verifying::resolve_verify_waiters;
use super::{Acceptance, ActiveSession, Keeper, Life, Session, Verification};
use crate::answer::{CANDIDATES, Outcome, Probe, Response};
use crate::confirm::Conclusion;
use crate::effect::{Effect, Notice};
use crate::event::Event;
use crate::generation::{Generation, SessionId, TokenId};
use crate::input::StoredSession;
use crate::message::Message;
use crate::options::Credential;
use crate::requests::{Request, TokenHandle};
use crate::revocation::{Step, read_delivery};
use crate::session::{RejectedAnswer, SignOut, SignOutReason, TokenFacts};
use crate::time::{Duration, Instant};

/// What the app asked for before the record was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum PendingCommand {
    SignIn {
        token: Option<TokenHandle>,
        facts: TokenFacts,
    },
    /// Of this session, where one was known when the app asked.
    SignOut {
        of: Option<SessionId>,
    },
}

impl Keeper {
    pub(super) fn handle_sign_in(
        &mut self,
        token: Option<TokenHandle>,
        facts: TokenFacts,
        out: &mut Vec<Effect>,
    ) {
        let waits = matches!(self.session, Session::Restoring) && self.reads.is_open();
        if waits || self.must_read_first(out) {
            self.replace_pending(PendingCommand::SignIn { token, facts }, out);
            return;
        }
        self.begin_session(token, facts, out);
    }

    /// What other tabs have written is read before a sign-in or a sign-out takes its place: this
    /// tab may have been frozen, and not know of a newer session.
    fn must_read_first(&mut self, out: &mut Vec<Effect>) -> bool {
        let must = self.options.is_shared && self.life == Life::Running;
        if must {
            self.read_record(out);
        }
        must
    }

    fn begin_session(
        &mut self,
        token: Option<TokenHandle>,
        facts: TokenFacts,
        out: &mut Vec<Effect>,
    ) {
        if self.options.credential == Credential::Cookie {
            // The new cookie is the one that a late sign-out request would end.
            self.abort(Probe::SignOut, out);
            self.revocation.cancel();
        }
        self.late_record = LateRecord::Unwanted;
        self.forget_acquiring(out);
        self.abort_verification(out);
        self.abort(Probe::Refresh, out);
        if let Some(generation) = self.generation() {
            out.push(Effect::Forget { generation });
        }
        self.enter_session(token, facts, out);
        self.verify_schedule.reset(self.now());
    }

    pub(super) fn handle_sign_out(&mut self, out: &mut Vec<Effect>) {
        let waits = matches!(self.session, Session::Restoring) && self.reads.is_open();
        let session_id = self.generation().map(|generation| generation.session_id);
        if waits || session_id.is_some() && self.must_read_first(out) {
            self.replace_pending(PendingCommand::SignOut { of: session_id }, out);
            return;
        }
        self.end_by_app(out);
    }

    fn end_by_app(&mut self, out: &mut Vec<Effect>) {
        match self.session {
            Session::Restoring if self.awaits_acquired() && !self.asks_the_server() => {
                self.refuse_acquiring(out);
            }
            Session::Restoring => {
                // A cookie nobody has asked about yet: it is ended all the same.
                let generation = self.next_generation();
                self.enter_active(&StoredSession::new(generation));
                self.end(SignOutReason::User, None, Vec::new(), out);
            }
            // What the store still brings was ended by this.
            Session::SignedOut if self.late_record == LateRecord::Wanted => {
                self.late_record = LateRecord::SignedOut;
            }
            Session::SignedOut => self.refuse_acquiring(out),
            Session::Active(_) => self.end(SignOutReason::User, None, Vec::new(), out),
        }
    }

    fn replace_pending(&mut self, command: PendingCommand, out: &mut Vec<Effect>) {
        let before = self.pending_command.replace(command);
        if let Some(PendingCommand::SignIn { token: Some(token), .. }) = before {
            out.push(Effect::DropToken { token });
        }
    }

    pub(super) fn run_pending(&mut self, out: &mut Vec<Effect>) {
        match self.pending_command.take() {
            Some(PendingCommand::SignIn { token, facts }) => {
                self.begin_session(token, facts, out);
            }
            Some(PendingCommand::SignOut { of }) => {
                let present = self.generation().map(|generation| generation.session_id);
                // Another tab has signed somebody in meanwhile: that session is not the one that
                // was to be ended.
                if of.is_none() || of == present {
                    self.end_by_app(out);
                }
            }
            None => {}
        }
    }

    /// A new session, written down and told.
    pub(super) fn enter_session(
        &mut self,
        token: Option<TokenHandle>,
        facts: TokenFacts,
        out: &mut Vec<Effect>,
    ) {
        let generation = self.next_generation();
        let saved_at = Some(self.clock.wall());
        self.enter_active(&StoredSession { facts, saved_at, ..StoredSession::new(generation) });
        if let Some(active) = self.active_mut() {
            active.acceptance = Acceptance::Never;
        }
        self.log(out, Event::SignedIn {});
        if let Some(token) = token {
            out.push(Effect::UseToken { token, generation });
        }
        let expires_at = facts.expires_at;
        out.push(Effect::Store { generation, expires_at, verified_at: None });
        out.push(Effect::Broadcast(Message::Written));
        out.push(Effect::Notify(Notice::SignedIn { from_other_tab: false }));
    }

    pub(super) fn enter_active(&mut self, stored: &StoredSession) {
        let StoredSession { generation, facts, saved_at, verified_at } = *stored;
        self.session = Session::Active(ActiveSession {
            generation,
            facts,
            saved_at,
            verified_at,
            acceptance: Acceptance::Possible,
            outlives_expiry: false,
            verification: Verification::Unverified,
        });
        self.refresher.reset();
        self.acquirer.session_began();
        self.pending_refresh_rejection = None;
        self.sign_out = None;
        self.verify_path.suspicion_told = false;
    }

    pub(super) fn enter_signed_out(&mut self, out: &mut Vec<Effect>) {
        self.session = Session::SignedOut;
        resolve_verify_waiters(out);
    }

    /// Ends the session here: the one way out, with the reason and the evidence on record. Where
    /// the server ended it and another one can be acquired, that is tried first.
    pub(super) fn end(
        &mut self,
        reason: SignOutReason,
        conclusion: Option<Conclusion>,
        rejections: Vec<RejectedAnswer>,
        out: &mut Vec<Effect>,
    ) {
        let end = End { reason, conclusion, rejections };
        if let Some(end) = self.await_before(end, out) {
            self.conclude(end, out);
        }
    }

    pub(super) fn conclude(&mut self, end: End, out: &mut Vec<Effect>) {
        let Some(generation) = self.generation() else { return };
        let End { reason, conclusion, rejections } = end;
        let undelivered = reason == SignOutReason::User && self.options.tell_sign_out;
        let at = self.clock.wall();
        let rule = conclusion.map(|conclusion| conclusion.rule);
        let chance = conclusion.and_then(|conclusion| conclusion.chance);
        let sign_out = SignOut { reason, at, from_other_tab: false, rule, chance, rejections };
        out.push(Effect::WriteTombstone { generation, sign_out: sign_out.clone(), undelivered });
        out.push(Effect::Broadcast(Message::Written));
        self.leave(sign_out, out);
        self.log(out, Event::SignedOut { reason, rule, from_other_tab: false });
        if undelivered {
            self.schedule_revocation(generation, out);
        }
    }

    /// The user signs out where nobody is signed in: a tombstone of which the server needs not be
    /// told.
    pub(super) fn sign_out_nobody(&mut self, out: &mut Vec<Effect>) {
        let generation = self.next_generation();
        let sign_out = SignOut {
            reason: SignOutReason::User,
            at: self.clock.wall(),
            from_other_tab: false,
            rule: None,
            chance: None,
            rejections: Vec::new(),
        };
        self.sign_out = Some(sign_out.clone());
        out.push(Effect::WriteTombstone { generation, sign_out, undelivered: false });
        out.push(Effect::Broadcast(Message::Written));
        self.enter_signed_out(out);
    }

    pub(super) fn leave(&mut self, sign_out: SignOut, out: &mut Vec<Effect>) {
        if sign_out.from_other_tab || sign_out.rule.is_none() {
            self.forget_acquiring(out);
        }
        self.abort_verification(out);
        self.abort(Probe::Refresh, out);
        if sign_out.from_other_tab
            && let Some(generation) = self.generation()
        {
            out.push(Effect::Forget { generation });
        }
        self.sign_out = Some(sign_out.clone());
        self.ended = self.generation().max(self.ended);
        self.tabs_forget_session();
        self.enter_signed_out(out);
        out.push(Effect::Notify(Notice::SignedOut(sign_out)));
    }

    /// Whatever is under way for the session that was is about nobody any more.
    pub(super) fn abort_verification(&mut self, out: &mut Vec<Effect>) {
        self.abort(Probe::Verify, out);
        for index in 0..CANDIDATES.len() as u8 {
            self.abort(Probe::Candidate(index), out);
        }
        self.pending_rejections.clear();
    }

    pub(super) fn next_generation(&mut self) -> Generation {
        let token_id = TokenId(self.rng.draw());
        let next = if self.reads.is_late() {
            Generation::after_unread(self.newest, token_id)
        } else {
            Generation::after(self.newest, token_id)
        };
        self.newest = Some(next);
        next
    }

    /// With a cookie only the server knows whether there is a session.
    pub(super) fn asks_the_server(&self) -> bool {
        self.options.credential == Credential::Cookie
    }

    pub(super) fn schedule_revocation(&mut self, generation: Generation, out: &mut Vec<Effect>) {
        if self.asks_the_server() {
            // The browser holds one cookie: one request ends what it stands for.
            self.revocation.cancel();
        }
        if let Some(generation) = self.revocation.add(generation, self.now()) {
            out.push(Effect::Forget { generation });
        }
    }

    pub(super) fn next_revocation(&self) -> Option<Instant> {
        let (due, _) = self.revocation.next()?;
        if self.requests.any(Probe::SignOut) { None } else { Some(due) }
    }

    pub(super) fn send_revocation(&mut self, out: &mut Vec<Effect>) {
        if let Some((_, generation)) = self.revocation.next() {
            self.send(Probe::SignOut, Some(generation), out);
        }
    }

    pub(super) fn handle_revocation_answer(
        &mut self,
        request: &Request,
        outcome: &Outcome,
        retry_after: Duration,
        out: &mut Vec<Effect>,
    ) {
        let Some(generation) = request.generation else { return };
        let floor = self.now().plus(retry_after);
        let delivery = read_delivery(outcome);
        let step = self.revocation.handle_answer(
            generation,
            delivery,
            floor,
            &self.options.verify,
            &mut self.rng,
        );
        match step {
            Some(Step::Done) => self.revoked(generation, out),
            Some(Step::Again { report } | Step::GivenUp { report }) => {
                if let (true, Outcome::Response(Response { status, .. })) = (report, outcome) {
                    self.log(out, Event::SignOutRejected { status: *status });
                }
                if matches!(step, Some(Step::GivenUp { .. })) {
                    out.push(Effect::Forget { generation });
                }
            }
            None => {}
        }
    }

    /// The server knows of the sign-out.
    fn revoked(&mut self, generation: Generation, out: &mut Vec<Effect>) {
        self.log(out, Event::SignOutTold {});
        out.push(Effect::Forget { generation });
        // Only a cookie's tombstone holds back what comes after it.
        if let Some(sign_out) = self.sign_out.clone().filter(|_| self.asks_the_server()) {
            out.push(Effect::WriteTombstone { generation, sign_out, undelivered: false });
        }
    }
}
