//! Judging a refusal: the record is read again, then gates 1 and 4 decide.

use alloc::vec::Vec;

use super::verifying::settle;
use super::{Acceptance, Keeper, Live, Session, Standing};
use crate::answer::{Grade, Probe, Response};
use crate::backend::APART;
use crate::confirm::{Heard, Mood, Proof, Setting, Suspicion, Token};
use crate::diagnosis::{Cause, Diagnosis};
use crate::effect::Effect;
use crate::generation::Generation;
use crate::history::{Event, Origin, Why};
use crate::requests::{Request, Requests};
use crate::session::{Refusal, SignOutReason, TokenKind};
use crate::time::{Duration, Instant};

/// A connection that was quiet this long is closed, and the next one may meet another worker:
/// Node closes an idle one after 6.1 s, uvicorn after 5 s, gunicorn after 2 s.
const CLOSED: Duration = Duration::from_millis(6_250);

/// A refusal that waits for the record: another tab may have signed in or out meanwhile.
#[derive(Debug)]
pub(super) struct Accusation {
    generation: Option<Generation>,
    heard: Heard,
}

impl Keeper {
    /// Takes a refusal that passed gate 2 and asks for the record (gate 1).
    pub(super) fn accuse(
        &mut self,
        request: &Request,
        grade: Grade,
        response: &Response,
        out: &mut Vec<Effect>,
    ) {
        let refusal = Refusal {
            at: self.clock.wall(),
            status: response.status,
            grade,
            instance: response.server.instance,
            boot: response.server.boot,
        };
        let facts = super::answering::origin(response);
        self.log(out, Event::Refused { grade, status: response.status, facts });
        let heard = Heard { asked: request.sent, came: self.now(), refusal };
        self.accused.push(Accusation { generation: request.generation, heard });
        self.read_record(out);
    }

    /// The record is known again: counts the refusals that are about the session of now.
    pub(super) fn weigh(&mut self, out: &mut Vec<Effect>) {
        let accused = core::mem::take(&mut self.accused);
        if accused.is_empty() {
            return;
        }
        for Accusation { generation, heard } in accused {
            if generation != self.generation() {
                self.log(out, Event::RefusalVoid { why: Why::NewerSession });
                continue;
            }
            match &self.session {
                // A cookie that was never there: nothing ends, nobody is told a reason.
                Session::Restoring => self.enter_signed_out(out),
                Session::SignedOut => {}
                Session::Live(_) => self.suspect(heard, out),
            }
        }
        self.judge(out);
        settle(out);
    }

    fn suspect(&mut self, heard: Heard, out: &mut Vec<Effect>) {
        let Refusal { status, grade, .. } = heard.refusal;
        let has_health = self.options.health.is_some();
        if self.suspicion().is_none() {
            self.log(out, Event::Suspect { status });
            self.enter_suspect(heard.came);
            out.push(Effect::ReadBackend);
            if grade == Grade::Strong && heard.refusal.instance.is_none() {
                // Perhaps another worker knows better: asked now, that is known in no time.
                let asks_health = has_health && self.asks_who_refuses().is_some();
                let spare = self.requests.spare(self.now(), APART);
                self.ask(spare.saturating_sub(usize::from(asks_health)), out);
            }
        }
        let now = self.now();
        let Some(suspicion) = self.suspicion() else { return };
        suspicion.refused(heard);
        if suspicion.needs_health() {
            if has_health {
                self.ping.due = Some(now);
            } else {
                suspicion.proven(now, Proof::None);
            }
        }
    }

    fn enter_suspect(&mut self, came: Instant) {
        if let Some(live) = self.live_mut() {
            live.standing = Standing::Suspect(Suspicion::new(came));
        }
    }

    /// Ends the session if the refusals are to be believed, or the suspicion if nothing speaks
    /// for it any more.
    pub(super) fn judge(&mut self, out: &mut Vec<Effect>) {
        let setting = Setting {
            now: self.now(),
            instances: &self.instances,
            woken: self.server.woken(),
            backend: &self.backend,
            token: self.token(),
            confirm: self.options.confirm,
        };
        let Session::Live(Live { standing, .. }) = &mut self.session else { return };
        let Standing::Suspect(suspicion) = standing else { return };
        if let Some(finding) = suspicion.verdict(setting) {
            let reason = match setting.token {
                Token::RunOut => SignOutReason::Expired,
                Token::Current | Token::New => SignOutReason::Rejected,
            };
            let refusals = core::mem::replace(suspicion, Suspicion::new(setting.now));
            self.explain(reason, out);
            self.end(reason, Some(finding), refusals.into_refusals(), out);
        } else if suspicion.is_groundless() {
            let why = suspicion.why_groundless();
            *standing = Standing::Unverified;
            self.log(out, Event::RefusalVoid { why });
        }
    }

    fn token(&self) -> Token {
        match self.live() {
            _ if self.has_run_out() => Token::RunOut,
            Some(Live { acceptance: Acceptance::Never, .. }) => Token::New,
            _ => Token::Current,
        }
    }

    /// A token that did not survive a restart is told apart from one that was revoked.
    fn explain(&mut self, reason: SignOutReason, out: &mut Vec<Effect>) {
        let kind = self.live().map(|live| live.kind);
        if reason == SignOutReason::Rejected && self.backend.is_anew() {
            let cause = match kind {
                Some(TokenKind::Signed) => Cause::SigningKeyChanged,
                Some(TokenKind::Opaque) | None => Cause::TokensLost,
            };
            self.diagnose(out, Diagnosis::of(cause));
        }
    }

    /// A verification was accepted. Returns whether the answer may be believed: one that was
    /// asked before the first refusal neither adds nor clears.
    pub(super) fn refute(
        &mut self,
        asked: Instant,
        accepting: Origin,
        out: &mut Vec<Effect>,
    ) -> bool {
        let (now, wall, woken) = (self.now(), self.clock.wall(), self.server.woken());
        let Some(suspicion) = self.suspicion() else {
            if self.backend.accepted(now, wall) {
                out.push(Effect::StoreBackend(self.backend.record()));
            }
            return true;
        };
        if !suspicion.is_refuted_by(asked) {
            return false;
        }
        let (refusals, bursts) = (suspicion.counted(), suspicion.bursts_of_the_server());
        let is_cold = suspicion.is_of_a_cold_server(woken);
        let is_of_one = suspicion.is_of_one_instance(accepting);
        // A store that is not ready yet says nothing of the backend's mind.
        self.backend.refuted(now, wall, if is_cold { 0 } else { bursts });
        out.push(Effect::StoreBackend(self.backend.record()));
        self.abort(Probe::Verify, out);
        self.accused.clear();
        self.log(out, Event::Refuted { refusals });
        if bursts > 0 && !is_cold && !is_of_one {
            self.diagnose(
                out,
                Diagnosis { count: refusals, ..Diagnosis::of(Cause::WorkersDisagree) },
            );
        }
        true
    }

    pub(super) fn waits_for_health(&self) -> bool {
        self.live().is_some_and(|live| match &live.standing {
            Standing::Suspect(suspicion) => suspicion.needs_health(),
            Standing::Unverified | Standing::Verified => false,
        })
    }

    /// Whether refusals are being confirmed, by bursts that keep the server awake as well.
    pub(super) fn is_confirming(&self) -> bool {
        self.live().is_some_and(|live| matches!(live.standing, Standing::Suspect(_)))
    }

    pub(super) fn next_burst(&self) -> Option<Instant> {
        let Standing::Suspect(suspicion) = &self.live()?.standing else { return None };
        // While the health path has not spoken another weak refusal would add nothing.
        let waits = self.waits_for_health() || !self.accused.is_empty();
        if waits || self.requests.any(Probe::Verify) {
            return None;
        }
        let closed = self.answered.plus(CLOSED);
        let due = suspicion.next_burst(self.server.woken(), self.mood(), closed);
        Some(due.max(self.requests.free_at(Requests::MOST, APART)))
    }

    pub(super) fn send_burst(&mut self, out: &mut Vec<Effect>) {
        let (now, mood) = (self.now(), self.mood());
        let one_instance = self.instances.are_known() && self.instances.lately(now).count() == 1;
        let spare = self.requests.spare(now, APART);
        let Some(suspicion) = self.suspicion() else { return };
        suspicion.burst_sent(now);
        let size = if one_instance { 1 } else { suspicion.burst_size(spare, mood) };
        self.ask(size, out);
    }

    /// When a suspicion wants to hear from the health path: a refusal that names no boot may come
    /// from a server that has just started anew. At once, or together with the next burst, which
    /// would otherwise have to wait until the ping's connection is closed.
    pub(super) fn asks_who_refuses(&self) -> Option<Instant> {
        let Standing::Suspect(suspicion) = &self.live()?.standing else { return None };
        let is_known = self.ping.answered.is_some_and(|at| !suspicion.began_after(at));
        if is_known || suspicion.is_named() {
            return None;
        }
        let free = self.requests.free_at(Requests::MOST, APART);
        let is_free = suspicion.began_after(free);
        let at = if is_free { free } else { self.next_burst()?.max(free) };
        Some(at.max(self.page.rests_until))
    }

    fn ask(&mut self, times: usize, out: &mut Vec<Effect>) {
        let generation = self.generation();
        for _ in 0..times {
            self.send(Probe::Verify, generation, out);
        }
    }

    fn mood(&self) -> Mood {
        // Without a health path a weak refusal is all that a server that is well may say.
        let is_bad = self.server.is_bad() && self.options.health.is_some();
        if is_bad { Mood::Bad } else { Mood::Well }
    }
}
