//! Judging a refusal: the record is read again, then gates 1 and 4 decide.

use alloc::vec::Vec;

use super::verifying::settle;
use super::{Keeper, Live, Session, Standing};
use crate::answer::{Grade, Probe, Response};
use crate::confirm::{Backend, Mood, Setting, Suspicion, Token};
use crate::effect::Effect;
use crate::generation::Generation;
use crate::history::{Event, Why};
use crate::requests::Request;
use crate::session::{Refusal, SignOutReason};
use crate::time::Instant;

/// A refusal that waits for the record: another tab may have signed in or out meanwhile.
#[derive(Debug)]
pub(super) struct Accusation {
    generation: Option<Generation>,
    came: Instant,
    refusal: Refusal,
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
        let (generation, came) = (request.generation, self.now());
        self.accused.push(Accusation { generation, came, refusal });
        self.read_record(out);
    }

    /// The record is known again: counts the refusals that are about the session of now.
    pub(super) fn weigh(&mut self, out: &mut Vec<Effect>) {
        let accused = core::mem::take(&mut self.accused);
        if accused.is_empty() {
            return;
        }
        for Accusation { generation, came, refusal } in accused {
            if generation != self.generation() {
                self.log(out, Event::RefusalVoid { why: Why::NewerSession });
                continue;
            }
            match &self.session {
                // A cookie that was never there: nothing ends, nobody is told a reason.
                Session::Restoring => self.enter_signed_out(out),
                Session::SignedOut => {}
                Session::Live(_) => self.suspect(came, refusal, out),
            }
        }
        self.judge(out);
        settle(out);
    }

    fn suspect(&mut self, came: Instant, refusal: Refusal, out: &mut Vec<Effect>) {
        let status = refusal.status;
        if self.suspicion().is_none() {
            self.log(out, Event::Suspect { status });
            self.enter_suspect(came);
        }
        let has_health = self.options.health.is_some();
        let now = self.now();
        let Some(suspicion) = self.suspicion() else { return };
        suspicion.refused(came, refusal);
        if suspicion.needs_health() {
            if has_health {
                self.ping.due = Some(now);
            } else {
                // Without a health path there is no other proof to be had.
                suspicion.health_proven(now);
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
            backend: self.backend,
            token: if self.has_run_out() { Token::RunOut } else { Token::Current },
            confirm: self.options.confirm,
        };
        let Session::Live(Live { standing, .. }) = &mut self.session else { return };
        let Standing::Suspect(suspicion) = standing else { return };
        if let Some(rule) = suspicion.verdict(setting) {
            let reason = match setting.token {
                Token::RunOut => SignOutReason::Expired,
                Token::Current => SignOutReason::Rejected,
            };
            let refusals = core::mem::replace(suspicion, Suspicion::new(setting.now));
            self.end(reason, Some(rule), refusals.into_refusals(), out);
        } else if suspicion.is_groundless() {
            *standing = Standing::Unverified;
            self.log(out, Event::RefusalVoid { why: Why::ServerNotAwake });
        }
    }

    /// A verification was accepted. Returns whether the answer may be believed: one that was
    /// asked before the first refusal neither adds nor clears.
    pub(super) fn refute(&mut self, asked: Instant, out: &mut Vec<Effect>) -> bool {
        let Some(suspicion) = self.suspicion() else { return true };
        if !suspicion.is_refuted_by(asked) {
            return false;
        }
        let refusals = suspicion.counted();
        if refusals > 0 {
            self.backend = Backend::Disagreeing;
        }
        self.abort(Probe::Verify, out);
        self.accused.clear();
        self.log(out, Event::Refuted { refusals });
        true
    }

    pub(super) fn waits_for_health(&self) -> bool {
        self.live().is_some_and(|live| match &live.standing {
            Standing::Suspect(suspicion) => suspicion.needs_health(),
            Standing::Unverified | Standing::Verified => false,
        })
    }

    pub(super) fn next_burst(&self) -> Option<Instant> {
        let Standing::Suspect(suspicion) = &self.live()?.standing else { return None };
        // While the health path has not spoken another weak refusal would add nothing.
        let waits = self.waits_for_health() || !self.accused.is_empty();
        if waits || self.requests.any(Probe::Verify) {
            return None;
        }
        // Without a health path a weak refusal is all that a server that is well may say.
        let is_bad = self.server.is_bad() && self.options.health.is_some();
        let mood = if is_bad { Mood::Bad } else { Mood::Well };
        Some(suspicion.next_burst(self.server.woken(), mood))
    }

    pub(super) fn send_burst(&mut self, out: &mut Vec<Effect>) {
        let (now, generation) = (self.now(), self.generation());
        let one_instance = self.instances.are_known() && self.instances.lately(now).count() == 1;
        let Some(suspicion) = self.suspicion() else { return };
        suspicion.burst_sent(now);
        let size = if one_instance { 1 } else { Suspicion::BURST };
        for _ in 0..size {
            self.send(Probe::Verify, generation, out);
        }
    }
}
