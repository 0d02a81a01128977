//! One server, one opinion: which of the two paths speaks for it.
//!
//! Rule: a path that fails although the server has proven itself awake in another way since then
//! fails alone. It moves nothing, it is named, and nothing waits for it for ever.

use crate::answer::Probe;
use crate::time::{Duration, Instant};

/// A path that fails alone this long, and this often, is blocked.
const BLOCKED_AFTER: Duration = Duration::from_secs(60);
const BLOCKED_TIMES: u32 = 3;
/// As many of them came after a proof by other means. One of a request that an outage took may
/// come late.
const BLOCKED_ALONE: u32 = BLOCKED_TIMES - 1;

/// What is known of the ways to the server.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    health: Path,
    verify: Path,
    /// When the app's own requests last proved the server awake.
    app_proven: Option<Instant>,
}

/// One path.
#[derive(Debug, Default)]
struct Path {
    /// The last answer that proved the server awake.
    proven: Option<Instant>,
    /// The last answer of any kind.
    answered: Option<Instant>,
    failing: Option<Failing>,
}

/// Failures in a row, since the last proof by the same path.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    times: u32,
    /// Those after the server had proven itself by other means, or answered there.
    alone: u32,
    /// Nothing but network errors.
    silent: bool,
}

/// How a path failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Refused, reset, or kept back by the browser.
    NetworkError,
    /// Somebody holds the request: a platform that wakes the server up.
    Held,
    /// An answer that proves that the server is not ready.
    Answer,
}

impl Paths {
    /// The path proved the server awake.
    pub(crate) fn proven(&mut self, probe: Probe, now: Instant) {
        if let Some(path) = self.path(probe) {
            *path = Path { proven: Some(now), answered: Some(now), failing: None };
        }
    }

    /// An answer of the app's own requests proved the server awake.
    pub(crate) const fn proven_by_app(&mut self, now: Instant) {
        self.app_proven = Some(now);
    }

    /// The path answered, which proves nothing.
    pub(crate) fn answered(&mut self, probe: Probe, now: Instant) {
        if let Some(path) = self.path(probe) {
            path.answered = Some(now);
        }
    }

    /// The path failed.
    pub(crate) fn failed(&mut self, probe: Probe, failure: Failure, now: Instant) {
        let is_alone = self.fails_alone(probe) || self.is_cut_off(probe);
        let Some(path) = self.path(probe) else { return };
        if failure == Failure::Answer {
            path.answered = Some(now);
        }
        let begun = Failing { since: now, times: 0, alone: 0, silent: true };
        let failing = path.failing.get_or_insert(begun);
        failing.times = failing.times.saturating_add(1);
        failing.alone = failing.alone.saturating_add(is_alone.into());
        failing.silent &= failure == Failure::NetworkError;
    }

    /// Whether the path's last answer was a failure.
    pub(crate) fn is_failing(&self, probe: Probe) -> bool {
        self.both(probe).is_some_and(|(path, _)| path.failing.is_some())
    }

    /// Whether the path fails although the server proved itself by other means meanwhile.
    pub(crate) fn fails_alone(&self, probe: Probe) -> bool {
        let Some((path, other)) = self.both(probe) else { return false };
        let Some(failing) = path.failing else { return false };
        let since = |at: Option<Instant>| at.is_some_and(|at| at >= failing.since);
        since(other.proven) || since(self.app_proven)
    }

    /// Whether the path fails alone again and again, and how often.
    pub(crate) fn is_blocked(&self, probe: Probe, now: Instant) -> Option<u32> {
        let (path, other) = self.both(probe)?;
        let failing = path.failing?;
        let lasts = now.since(failing.since) >= BLOCKED_AFTER && failing.times >= BLOCKED_TIMES;
        let is_alone = self.fails_alone(probe) || self.is_cut_off(probe);
        // A proof that is older than that may be from before the server went away.
        let recent = failing.since.plus(BLOCKED_AFTER);
        let last = if failing.silent { other.answered } else { other.proven };
        let is_known = last.max(self.app_proven).is_some_and(|at| at >= recent);
        (lasts && is_alone && is_known && failing.alone >= BLOCKED_ALONE).then_some(failing.times)
    }

    /// No answer at all from one path, while the other answers: something in between.
    fn is_cut_off(&self, probe: Probe) -> bool {
        let Some((Path { failing: Some(failing), .. }, other)) = self.both(probe) else {
            return false;
        };
        failing.silent && other.answered.is_some_and(|at| at >= failing.since)
    }

    /// Whether the path has got nothing but network errors since it last proved the server awake.
    pub(crate) fn is_silent(&self, probe: Probe) -> bool {
        self.silences(probe) > 0
    }

    /// Whether the other path proved the server awake less than `within` ago.
    pub(crate) fn other_is_recent(&self, probe: Probe, now: Instant, within: Duration) -> bool {
        let proven = self.both(probe).and_then(|(_, other)| other.proven);
        proven.max(self.app_proven).is_some_and(|at| now.since(at) < within)
    }

    /// How often the path got no answer at all, since it last proved the server awake.
    pub(crate) fn silences(&self, probe: Probe) -> u32 {
        let failing = self.both(probe).and_then(|(path, _)| path.failing);
        failing.filter(|failing| failing.silent).map_or(0, |failing| failing.times)
    }

    /// The page could not run: what failed before is about another time.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    const fn path(&mut self, probe: Probe) -> Option<&mut Path> {
        match probe {
            Probe::Health => Some(&mut self.health),
            Probe::Verify => Some(&mut self.verify),
            Probe::SignOut | Probe::Candidate(_) | Probe::Refresh | Probe::Acquire => None,
        }
    }

    const fn both(&self, probe: Probe) -> Option<(&Path, &Path)> {
        match probe {
            Probe::Health => Some((&self.health, &self.verify)),
            Probe::Verify => Some((&self.verify, &self.health)),
            Probe::SignOut | Probe::Candidate(_) | Probe::Refresh | Probe::Acquire => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_path_fails_alone_when_the_other_proves_the_server_afterwards() {
        let mut paths = Paths::default();
        paths.proven(Probe::Health, at(0));
        paths.failed(Probe::Verify, Failure::NetworkError, at(1));
        assert!(!paths.fails_alone(Probe::Verify), "the server may just have gone");
        paths.proven(Probe::Health, at(2));
        assert!(paths.fails_alone(Probe::Verify));
        paths.failed(Probe::Health, Failure::NetworkError, at(30));
        assert!(!paths.fails_alone(Probe::Health), "now both fail");
    }

    #[test]
    fn the_apps_own_answers_prove_the_server_too() {
        let mut paths = Paths::default();
        paths.failed(Probe::Health, Failure::NetworkError, at(1));
        paths.proven_by_app(at(2));
        assert!(paths.fails_alone(Probe::Health));
    }

    #[test]
    fn a_path_is_blocked_after_a_minute_and_three_failures() {
        let mut paths = Paths::default();
        for secs in [0, 30, 60] {
            paths.failed(Probe::Health, Failure::NetworkError, at(secs));
            paths.proven(Probe::Verify, at(secs));
        }
        assert_eq!(paths.is_blocked(Probe::Health, at(59)), None);
        assert_eq!(paths.is_blocked(Probe::Health, at(60)), Some(3));
        paths.proven(Probe::Health, at(61));
        assert_eq!(paths.is_blocked(Probe::Health, at(300)), None);
    }

    #[test]
    fn a_path_that_failed_through_an_outage_is_not_blocked_when_the_other_ends_it() {
        let mut paths = Paths::default();
        for secs in [0, 30, 60, 90] {
            paths.failed(Probe::Health, Failure::Answer, at(secs));
        }
        paths.proven(Probe::Verify, at(100));
        assert_eq!(paths.is_blocked(Probe::Health, at(100)), None);
        paths.failed(Probe::Health, Failure::Held, at(150));
        assert_eq!(paths.is_blocked(Probe::Health, at(150)), None, "it was sent in the outage");
        paths.failed(Probe::Health, Failure::Answer, at(180));
        assert_eq!(paths.is_blocked(Probe::Health, at(180)), Some(6));
    }

    #[test]
    fn silence_of_one_path_while_the_other_answers_is_something_in_between() {
        let mut paths = Paths::default();
        for secs in [0, 30, 70] {
            paths.failed(Probe::Health, Failure::NetworkError, at(secs));
        }
        assert_eq!(paths.is_blocked(Probe::Health, at(70)), None, "perhaps the server is away");
        paths.answered(Probe::Verify, at(71));
        assert_eq!(paths.is_blocked(Probe::Health, at(71)), None, "perhaps it has just come back");
        for secs in [90, 120] {
            paths.failed(Probe::Health, Failure::NetworkError, at(secs));
        }
        assert_eq!(paths.is_blocked(Probe::Health, at(120)), Some(5));
        paths.failed(Probe::Health, Failure::Answer, at(150));
        assert_eq!(paths.is_blocked(Probe::Health, at(150)), None, "something answers there");
    }
}
