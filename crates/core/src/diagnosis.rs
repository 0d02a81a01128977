//! The causes, named: the evidence that decides also explains.
//!
//! Rule: a diagnosis changes nothing. Each is told once for a page, but for those that explain a
//! sign-out, and names only what cannot be anything else that is seen more often.

use crate::answer::{Candidate, Probe};
use crate::time::{Duration, Instant};

/// What is wrong, on the server or between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Cause {
    /// A token was rejected and then accepted: workers that do not share their tokens.
    WorkersDisagree,
    /// The platform puts the server to sleep.
    ServerSleeps,
    /// The tokens did not survive a restart.
    TokensLost,
    /// The key that signs them did not.
    SigningKeyChanged,
    /// The server starts again and again.
    RestartLoop,
    /// The browser's clock is off.
    ClockSkew,
    /// A path answers, but not as it should.
    WrongPath,
    /// The browser keeps the answers to itself.
    BlockedByCors,
    /// The health path waits for something, on a server that is up.
    SlowHealth,
    /// The health path fails although the server answers otherwise: an ad blocker, a firewall.
    HealthBlocked,
    /// The verify path accepted the session and leads to a page since: is the session over?
    LoginRedirect,
    /// The verify path says in its own way that something is wrong with the session: 403 for
    /// ever, or a 2xx with an error in it.
    UnclearRejection,
    /// Something in front of the server answers everything with a 401.
    Gateway,
    /// A cache or a service worker answers in the server's place.
    StaleAnswers,
}

impl Cause {
    /// Every one, in order.
    pub const ALL: [Self; 14] = [
        Self::WorkersDisagree,
        Self::ServerSleeps,
        Self::TokensLost,
        Self::SigningKeyChanged,
        Self::RestartLoop,
        Self::ClockSkew,
        Self::WrongPath,
        Self::BlockedByCors,
        Self::SlowHealth,
        Self::HealthBlocked,
        Self::LoginRedirect,
        Self::UnclearRejection,
        Self::Gateway,
        Self::StaleAnswers,
    ];

    /// The word on the public face, and the name of its page in `docs/causes/`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkersDisagree => "workers-disagree",
            Self::ServerSleeps => "server-sleeps",
            Self::TokensLost => "tokens-lost",
            Self::SigningKeyChanged => "signing-key-changed",
            Self::RestartLoop => "restart-loop",
            Self::ClockSkew => "clock-skew",
            Self::WrongPath => "wrong-path",
            Self::BlockedByCors => "blocked-by-cors",
            Self::SlowHealth => "slow-health",
            Self::HealthBlocked => "health-blocked",
            Self::LoginRedirect => "login-redirect",
            Self::UnclearRejection => "unclear-rejection",
            Self::Gateway => "gateway",
            Self::StaleAnswers => "stale-answers",
        }
    }

    /// Whether it is told each time: it explains a sign-out.
    const fn explains_a_sign_out(self) -> bool {
        matches!(self, Self::TokensLost | Self::SigningKeyChanged)
    }
}

/// A cause with what speaks for it; 0 where it does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Diagnosis {
    /// What is wrong.
    pub cause: Cause,
    /// How often it was seen: rejections, wake-ups, restarts, answers.
    pub count: u32,
    /// How long: a wake-up, the time in which the restarts were, how far the clock is off.
    pub length: Duration,
    /// The status that was answered.
    pub status: u16,
    /// By which path, for a path.
    pub probe: Option<Probe>,
    /// One of [`CANDIDATES`](crate::CANDIDATES) that answers where the path does not, by index.
    pub candidate: Option<Candidate>,
}

impl Diagnosis {
    pub(crate) const fn of(cause: Cause) -> Self {
        Self { cause, count: 0, length: Duration::ZERO, status: 0, probe: None, candidate: None }
    }
}

/// A restart each ten minutes is no deploy.
const RESTARTS: usize = 3;
const RESTARTS_WITHIN: Duration = Duration::from_secs(1_800);
/// Minutes are the leeway that servers give (RFC 7519 section 4.1.4); a token's life is counted
/// wrong from there on.
const SKEW: Duration = Duration::from_secs(60);
/// Three in a row exclude one deploy.
const NOT_FOUND: u32 = 3;
/// Three in a row exclude a short loss of signal.
const SLOW: u32 = 3;
/// A platform that wakes a server may say 401 for that long.
const WALL: Duration = Duration::from_secs(120);

/// What was seen of each cause, and which were told.
#[derive(Debug, Default)]
pub(crate) struct DiagnosisTracker {
    /// One bit for each cause, by its place.
    reported: u16,
    /// Newest first.
    restarts: [Option<Instant>; RESTARTS],
    wake_ups: u32,
    health_not_found: u32,
    health_slow: u32,
    /// Since when each of the two paths answers with a wall's 401.
    health_wall: Option<Instant>,
    verify_wall: Option<Instant>,
}

impl DiagnosisTracker {
    /// Whether the cause is to be told now.
    pub(crate) const fn should_report(&mut self, cause: Cause) -> bool {
        let bit = 1 << cause as u8;
        let known = self.reported & bit != 0 && !cause.explains_a_sign_out();
        self.reported |= bit;
        !known
    }

    pub(crate) fn restarted(&mut self, now: Instant) -> Option<Diagnosis> {
        self.restarts.rotate_right(1);
        self.restarts[0] = Some(now);
        let length = now.since(self.restarts[RESTARTS - 1]?);
        (length < RESTARTS_WITHIN).then_some(Diagnosis {
            count: RESTARTS as u32,
            length,
            ..Diagnosis::of(Cause::RestartLoop)
        })
    }

    pub(crate) const fn woke(&mut self, took: Duration) -> Diagnosis {
        self.wake_ups += 1;
        Diagnosis { count: self.wake_ups, length: took, ..Diagnosis::of(Cause::ServerSleeps) }
    }

    pub(crate) fn skewed(skew: Duration) -> Option<Diagnosis> {
        (skew >= SKEW).then_some(Diagnosis { length: skew, ..Diagnosis::of(Cause::ClockSkew) })
    }

    /// A path answered; `is_wall`: with a 401 that is a page or asks for a password.
    pub(crate) fn answered(
        &mut self,
        probe: Probe,
        is_wall: bool,
        now: Instant,
    ) -> Option<Diagnosis> {
        let since = match probe {
            Probe::Health => &mut self.health_wall,
            Probe::Verify => &mut self.verify_wall,
            Probe::SignOut | Probe::Candidate(_) | Probe::Refresh | Probe::Acquire => return None,
        };
        *since = if is_wall { since.or(Some(now)) } else { None };
        let length = now.since(self.health_wall?.max(self.verify_wall?));
        let found = Diagnosis { length, status: 401, ..Diagnosis::of(Cause::Gateway) };
        (length >= WALL).then_some(found)
    }

    /// The health path answered, and `slow` is how long an awake server kept it waiting.
    pub(crate) fn health_took(&mut self, slow: Option<Duration>) -> Option<Diagnosis> {
        self.health_slow = if slow.is_some() { self.health_slow + 1 } else { 0 };
        let (count, length) = (self.health_slow, slow?);
        let found = Diagnosis { count, length, ..Diagnosis::of(Cause::SlowHealth) };
        (count >= SLOW).then_some(found)
    }

    /// The health path answered with this status; `is_missing`: 404, or the app's page; `verified`:
    /// the verify path proves the server awake meanwhile.
    pub(crate) fn health_answered(
        &mut self,
        status: u16,
        is_missing: bool,
        verified: bool,
    ) -> Option<Diagnosis> {
        self.health_not_found = if is_missing { self.health_not_found + 1 } else { 0 };
        let (count, probe) = (self.health_not_found, Some(Probe::Health));
        let is_wrong = count >= NOT_FOUND && verified;
        let found = Diagnosis { count, status, probe, ..Diagnosis::of(Cause::WrongPath) };
        is_wrong.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn three_restarts_in_half_an_hour_are_a_loop_and_two_are_a_deploy() {
        let mut diagnosis_tracker = DiagnosisTracker::default();
        assert_eq!(diagnosis_tracker.restarted(at(0)), None);
        assert_eq!(diagnosis_tracker.restarted(at(1_799)), None);
        assert_eq!(diagnosis_tracker.restarted(at(1_800)), None, "the first is half an hour ago");
        let found = diagnosis_tracker.restarted(at(1_860)).expect("a loop");
        assert_eq!((found.cause, found.count), (Cause::RestartLoop, 3));
        assert_eq!(found.length, Duration::from_secs(61));
    }

    #[test]
    fn a_clock_is_off_from_a_minute_on() {
        assert_eq!(DiagnosisTracker::skewed(Duration::from_secs(59)), None);
        assert!(DiagnosisTracker::skewed(Duration::from_secs(60)).is_some());
    }

    #[test]
    fn a_health_path_that_is_missing_thrice_while_verify_answers_is_wrong() {
        let mut diagnosis_tracker = DiagnosisTracker::default();
        for verified in [true, true, false] {
            assert_eq!(diagnosis_tracker.health_answered(404, true, verified), None);
        }
        assert!(diagnosis_tracker.health_answered(404, true, true).is_some());
        diagnosis_tracker.health_answered(200, false, true);
        assert_eq!(diagnosis_tracker.health_answered(404, true, true), None);
    }

    #[test]
    fn a_health_path_that_is_slow_thrice_in_a_row_waits_for_something() {
        let (mut diagnosis_tracker, slow) =
            (DiagnosisTracker::default(), Some(Duration::from_secs(12)));
        for took in [slow, slow, None, slow, slow] {
            assert_eq!(diagnosis_tracker.health_took(took), None);
        }
        let found = diagnosis_tracker.health_took(slow).expect("the third in a row");
        assert_eq!((found.cause, found.length), (Cause::SlowHealth, Duration::from_secs(12)));
    }

    #[test]
    fn each_cause_is_told_once_but_for_those_that_explain_a_sign_out() {
        let mut diagnosis_tracker = DiagnosisTracker::default();
        for cause in Cause::ALL {
            assert!(diagnosis_tracker.should_report(cause));
            let again = matches!(cause, Cause::TokensLost | Cause::SigningKeyChanged);
            assert_eq!(diagnosis_tracker.should_report(cause), again, "{cause:?}");
        }
    }
}
