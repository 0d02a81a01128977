//! What an answer says of the server's ways, for the causes that are named.
//!
//! Rule: nothing here changes what is thought of the server or of the session.

use alloc::vec::Vec;

use super::Keeper;
use crate::answer::Source;
use crate::answer::{Availability, Body, Outcome, Probe, Reading, Response};
use crate::challenge::Challenge;
use crate::diagnosis::{Cause, Diagnosis};
use crate::effect::Effect;
use crate::server::Recovery;
use crate::time::{Duration, Instant};

/// A wake-up takes a second at the least and two minutes at the most.
const WAKES_IN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));
/// Where the process says how long it is up: it started for the first request, not before it.
const WAKES_BEFORE: Duration = Duration::from_secs(5);
/// The first bad answer of a wake-up comes this soon after the first request.
const HELD_BEFORE: Duration = Duration::from_secs(15);

impl Keeper {
    /// Was the server asleep? A platform that wakes it holds the first request, or answers for it
    /// when the keeper asks again after a pause. `held_since`: when the held request was sent.
    pub(super) fn note_wake_up(
        &mut self,
        Recovery { since, by_platform, proven_before }: Recovery,
        held_since: Option<Instant>,
        response: &Response,
        out: &mut Vec<Effect>,
    ) {
        let active_since = self.requests.active_since();
        let since = held_since.map_or(since, |sent| sent.min(since));
        let took = self.now().since(since);
        let was_well = proven_before.is_some_and(|at| at >= active_since);
        let after_silence = since.since(active_since) < HELD_BEFORE && !was_well;
        let is_wake_up = held_since.is_some() || by_platform && after_silence;
        if is_wake_up && !was_up(response, took) && took >= WAKES_IN.0 && took <= WAKES_IN.1 {
            let found = self.diagnosis_tracker.woke(took);
            self.diagnose(out, found);
        }
    }

    /// `slow`: how long it took, where a server that was up all the time kept the health path
    /// waiting.
    pub(super) fn note_health(
        &mut self,
        outcome: &Outcome,
        reading: &Reading,
        slow: Option<Duration>,
        out: &mut Vec<Effect>,
    ) {
        let Outcome::Response(response) = outcome else { return };
        if let Some(found) = self.diagnosis_tracker.health_took(slow) {
            self.diagnose(out, found);
        }
        let is_awake = reading.availability == Availability::Awake;
        let verified = matches!(self.active(), Some(active) if active.verified_at.is_some());
        let accepted = self.verify_path.accepted_at;
        self.prober.note_health(response, reading, self.now(), accepted);
        if reading.misplaced && is_awake && !self.prober.is_proper() {
            // The API itself says that there is no such path, or that it wants a credential.
            return self.diagnose_path(Probe::Health, response.status, None, out);
        }
        let is_page = response.status < 300 && response.body == Body::Html;
        let fails_alone = self.prober.paths.fails_alone(Probe::Health);
        // Where the path was right before, a platform answers for a server that sleeps.
        let is_odd = reading.misplaced || is_page || response.redirected || fails_alone;
        let is_missing = is_odd && (!self.prober.is_proper() || response.status == 404);
        let found = self.diagnosis_tracker.health_answered(response.status, is_missing, verified);
        if let Some(found) = found {
            self.diagnose(out, found);
        }
    }

    /// A path that fails alone is named after a while.
    pub(super) fn note_blocked(&mut self, probe: Probe, out: &mut Vec<Effect>) {
        let blocked = self.prober.paths.is_blocked(probe, self.now());
        if let (Probe::Health, Some(count)) = (probe, blocked)
            && self.prober.paths.is_silent(Probe::Health)
        {
            let probe = Some(probe);
            self.diagnose(out, Diagnosis { count, probe, ..Diagnosis::of(Cause::HealthBlocked) });
        }
    }

    /// A cache or a service worker answers in the server's place.
    pub(super) fn note_source(&mut self, probe: Probe, source: Source, out: &mut Vec<Effect>) {
        if source == Source::Stored {
            let probe = Some(probe);
            self.diagnose(out, Diagnosis { probe, ..Diagnosis::of(Cause::StaleAnswers) });
        }
    }

    /// Both paths answer with the 401 of something in front of them.
    pub(super) fn note_wall(&mut self, probe: Probe, outcome: &Outcome, out: &mut Vec<Effect>) {
        let Outcome::Response(response) = outcome else { return };
        let asks_a_person = matches!(response.challenge, Challenge::Password | Challenge::Foreign);
        let is_wall = response.status == 401 && (response.body == Body::Html || asks_a_person);
        if let Some(found) = self.diagnosis_tracker.answered(probe, is_wall, self.now()) {
            self.diagnose(out, found);
        }
    }
}

/// Whether the server says that it was up before a request that took so long.
pub(super) fn was_up(response: &Response, took: Duration) -> bool {
    response.server.uptime.is_some_and(|up| up > took.plus(WAKES_BEFORE))
}
