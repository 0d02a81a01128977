//! A verify path that does not answer as one: what the developer is told of it.
//!
//! Rule: nothing here changes what is thought of the server or of the session.

use alloc::vec::Vec;

use super::Keeper;
use crate::answer::{Body, CANDIDATES, Candidate, Outcome, Probe, Response, Verdict};
use crate::diagnosis::{Cause, Diagnosis};
use crate::effect::Effect;
use crate::event::Event;
use crate::options::OriginRelation;
use crate::time::Instant;

/// Unproven answers in a row, while health is fine, of a path that is wrong.
const MISCONFIGURED: u8 = 3;
/// Answers in a row by which a server says in its own way that a session is over.
const UNCLEAR: u8 = 3;
/// Silences in a row of a path that the browser keeps to itself.
const SILENCES: u32 = 4;

/// What is known of the verify path since the page was loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VerifyPath {
    /// When it last accepted a session: it is the right one.
    pub(super) accepted_at: Option<Instant>,
    /// It is not there, and the usual ones were asked.
    candidates_asked: bool,
    /// The developer was told that a rejection is being confirmed, since the last acceptance.
    pub(super) suspicion_told: bool,
    /// It never answers as an API, and the developer was told.
    reported: bool,
}

impl Keeper {
    /// Whether the path has ever accepted the session, in this page or before it.
    pub(super) fn was_accepted(&self) -> bool {
        let before = self.active().is_some_and(|active| active.verified_at.is_some());
        before || self.verify_path.accepted_at.is_some()
    }

    /// A page or a redirect, again and again, while the server is fine.
    pub(super) fn note_unproven(&mut self, verdict: Verdict, status: u16, out: &mut Vec<Effect>) {
        let is_fine = self.options.health.is_some()
            && (!self.prober.server.is_bad() || self.prober.paths.fails_alone(Probe::Verify));
        if !is_fine || self.verify_schedule.in_a_row.unproven < MISCONFIGURED {
            return;
        }
        if verdict == Verdict::Redirected && self.was_accepted() {
            let count = self.verify_schedule.in_a_row.redirected.into();
            let probe = Some(Probe::Verify);
            self.diagnose(out, Diagnosis { count, probe, ..Diagnosis::of(Cause::LoginRedirect) });
        } else if !core::mem::replace(&mut self.verify_path.reported, true) {
            self.log(out, Event::Misconfigured { probe: Probe::Verify, status });
            if !self.was_accepted() {
                self.diagnose_path(Probe::Verify, status, None, out);
            }
        }
    }

    /// The server says in its own way that something is wrong with the session: once of a path
    /// that was never right, and again and again of one that was.
    pub(super) fn note_unclear(
        &mut self,
        verdict: Verdict,
        status: Option<u16>,
        out: &mut Vec<Effect>,
    ) {
        let unclear = self.verify_schedule.in_a_row.unclear;
        if verdict == Verdict::Void && !self.was_accepted() {
            return;
        }
        let is_new = verdict == Verdict::ErrorShape && !self.was_accepted();
        let enough = if is_new { 1 } else { UNCLEAR };
        if unclear >= enough {
            let (count, probe) = (unclear.into(), Some(Probe::Verify));
            let status = status.unwrap_or(0);
            let found =
                Diagnosis { count, status, probe, ..Diagnosis::of(Cause::UnclearRejection) };
            self.diagnose(out, found);
        }
    }

    /// Health, which needs no permission, answers again and again, and verify does not or no
    /// longer does.
    pub(super) fn note_cors(&mut self, out: &mut Vec<Effect>) {
        let silences = self.prober.paths.silences(Probe::Verify);
        let is_other_origin = self.options.origin_relation == OriginRelation::CrossOrigin;
        if is_other_origin && silences >= SILENCES && self.prober.paths.fails_alone(Probe::Verify) {
            let (count, probe) = (silences, Some(Probe::Verify));
            self.diagnose(out, Diagnosis { count, probe, ..Diagnosis::of(Cause::BlockedByCors) });
        }
    }

    /// The verify path is not there. Where it was never right, the usual ones are asked once
    /// each, so that the error names the right one; nothing is switched.
    pub(super) fn ask_candidates(&mut self, out: &mut Vec<Effect>) {
        if self.was_accepted() {
            // It was right once: a deploy, or a proxy that lost its way.
            return self.log(out, Event::WrongPath { status: 404, candidate: None });
        }
        if !core::mem::replace(&mut self.verify_path.candidates_asked, true) {
            let generation = self.generation();
            self.send(Probe::Candidate(0), generation, out);
        }
    }

    pub(super) fn handle_candidate(&mut self, index: u8, outcome: &Outcome, out: &mut Vec<Effect>) {
        let is_there = match outcome {
            Outcome::Response(Response { status: 200, body: Body::Object, .. }) => true,
            Outcome::Response(Response { status: 401, body, .. }) => *body != Body::Html,
            Outcome::Response(_) | Outcome::NoAnswer | Outcome::NotSent => false,
        };
        let next = index + 1;
        if !is_there && usize::from(next) < CANDIDATES.len() && self.active().is_some() {
            let generation = self.generation();
            return self.send(Probe::Candidate(next), generation, out);
        }
        let candidate = is_there.then_some(Candidate(index));
        self.log(out, Event::WrongPath { status: 404, candidate });
        self.diagnose_path(Probe::Verify, 404, candidate, out);
    }

    pub(super) fn diagnose_path(
        &mut self,
        probe: Probe,
        status: u16,
        candidate: Option<Candidate>,
        out: &mut Vec<Effect>,
    ) {
        let probe = Some(probe);
        let found = Diagnosis { status, probe, candidate, ..Diagnosis::of(Cause::WrongPath) };
        self.diagnose(out, found);
    }
}
