//! When the verify path is asked next, and what its answers in a row add up to.
//!
//! Rule: nothing here sends or ends anything. What the answers mean is `verifying.rs`'s.

use crate::answer::{Grade, Verdict};
use crate::options::VerifyOptions;
use crate::prober::HINT_EVERY;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// Doubling the pause this often leads past any interval that makes sense.
const MAX_DOUBLINGS: u8 = 12;

/// One verification with its repeats, and when the next one is due.
#[derive(Debug, Default)]
pub(super) struct VerifySchedule {
    pub(super) due: Option<Instant>,
    pub(super) kind: Kind,
    attempt: u8,
    /// The delay before the repeat at hand.
    delay: Duration,
    /// What `Retry-After` forbids, whatever but the app hurries the verification.
    pub(super) not_before: Instant,
    pub(super) hinted: Option<Instant>,
    /// A request of the app was rejected while a check was under way that may not know of it.
    pub(super) again: bool,
    /// When the app asked for a verification that has not had its answer yet.
    pub(super) requested: Option<Instant>,
    /// Whether the session was accepted in this page.
    pub(super) accepted_here: bool,
    /// Recoveries of the server since the verify path last answered as an app does.
    recoveries: u8,
    pub(super) in_a_row: InARow,
}

/// Answers of one kind in a row, for what only their number tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InARow {
    /// That led nowhere: the pause before the next one doubles.
    inconclusive: u8,
    /// A page or a redirect in place of an answer.
    pub(super) unproven: u8,
    pub(super) redirected: u8,
    /// 403, or an error in a 2xx.
    pub(super) unclear: u8,
}

/// Why a verification goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Asked for: at start, by the app, by a sign of life. Sent whether or not anybody looks.
    #[default]
    Requested,
    /// The regular one.
    Periodic,
    /// The one after an answer that led nowhere.
    Soon,
    /// A repeat.
    Retry,
}

/// A repeat that is due after `wait`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) attempt: u8,
    pub(super) wait: Duration,
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

    /// Whether somebody waits for it, or something happened that calls for it.
    pub(super) const fn is_wanted(&self) -> bool {
        matches!(self.kind, Kind::Requested | Kind::Retry)
    }

    pub(super) fn no_later_than(&mut self, at: Instant) {
        self.due = self.due.map(|due| due.min(at));
    }

    /// Another session: what the server asked of the one before is past.
    pub(super) fn reset(&mut self, now: Instant) {
        self.now(now);
        self.not_before = now;
        self.accepted_here = false;
        self.in_a_row = InARow::default();
    }

    /// The app wants an answer to a question that is asked from now on.
    pub(super) fn request(&mut self, now: Instant) {
        self.now(now);
        self.not_before = now;
        self.requested = Some(now);
    }

    /// A request of the app waits for a check: the next one may go out 10 s after the last hint.
    pub(super) fn check_for_app(&mut self, now: Instant) {
        let allowed = self.hinted.map_or(now, |hinted| hinted.plus(HINT_EVERY)).max(now);
        let is_background = matches!(self.kind, Kind::Periodic | Kind::Soon);
        if is_background || self.due.is_none_or(|due| due > allowed) {
            self.at(self.due.map_or(allowed, |due| due.min(allowed)));
        }
    }

    /// Takes note of an answer.
    pub(super) const fn answered(&mut self, verdict: Verdict) {
        let before = self.in_a_row;
        self.in_a_row = InARow { inconclusive: before.inconclusive, ..InARow::new() };
        match verdict {
            Verdict::NoAnswer => {
                self.in_a_row = before;
                return;
            }
            Verdict::Unproven => self.in_a_row.unproven = before.unproven.saturating_add(1),
            Verdict::Redirected => {
                self.in_a_row.unproven = before.unproven.saturating_add(1);
                self.in_a_row.redirected = before.redirected.saturating_add(1);
                return;
            }
            Verdict::Forbidden | Verdict::ErrorShape => {
                self.in_a_row.unclear = before.unclear.saturating_add(1);
            }
            Verdict::Valid | Verdict::Rejected(Grade::Strong) => self.in_a_row = InARow::new(),
            Verdict::Void => self.in_a_row.unclear = before.unclear.saturating_add(1),
            Verdict::Rejected(Grade::Weak | Grade::Password)
            | Verdict::NotFound
            | Verdict::Inconclusive => {}
        }
        if !matches!(verdict, Verdict::Unproven) {
            self.recoveries = 0;
        }
    }

    /// The next repeat, while there are some left.
    pub(super) fn retry(
        &mut self,
        now: Instant,
        options: &VerifyOptions,
        rng: &mut Rng,
    ) -> Option<Repeat> {
        if self.attempt >= options.retries {
            return None;
        }
        let low = options.retry_delay;
        let before = if self.attempt == 0 { low } else { self.delay };
        let wait = rng.decorrelated(low, low.times(4), before);
        self.delay = wait;
        self.attempt += 1;
        self.due = Some(now.plus(wait));
        self.kind = Kind::Retry;
        Some(Repeat { attempt: self.attempt, wait })
    }

    pub(super) fn next_periodic(&mut self, now: Instant, options: &VerifyOptions, rng: &mut Rng) {
        self.due = Some(now.plus(rng.spread(options.every)));
        self.kind = Kind::Periodic;
        self.attempt = 0;
    }

    /// The same after a verification that another tab made so long ago.
    pub(super) fn next_periodic_after(
        &mut self,
        now: Instant,
        age: Duration,
        options: &VerifyOptions,
        rng: &mut Rng,
    ) {
        self.next_periodic(now, options, rng);
        self.due = self.due.map(|due| due.minus(age).max(now));
    }

    /// After an answer that led nowhere: soon, then after twice as long each time, up to the
    /// regular interval.
    pub(super) fn next_soon(&mut self, now: Instant, options: &VerifyOptions, rng: &mut Rng) {
        let low = options.retry_delay.times(1 << self.in_a_row.inconclusive.min(MAX_DOUBLINGS));
        self.in_a_row.inconclusive = self.in_a_row.inconclusive.saturating_add(1);
        let fifth = Duration::from_millis(low.as_millis() / 5);
        let pause = rng.between(low, low.plus(fifth));
        if pause >= options.every {
            return self.next_periodic(now, options, rng);
        }
        self.due = Some(now.plus(pause));
        self.kind = Kind::Soon;
        self.attempt = 0;
    }

    /// The server is back: at once, but a path that failed again and again after that waits
    /// longer each time.
    pub(super) fn next_after_recovery(
        &mut self,
        now: Instant,
        options: &VerifyOptions,
        rng: &mut Rng,
    ) {
        let pause = match self.recoveries {
            0 => Duration::ZERO,
            many => {
                let doubled = options.retry_delay.times(1 << many.min(MAX_DOUBLINGS));
                rng.spread(doubled).min(options.every)
            }
        };
        self.recoveries = self.recoveries.saturating_add(1);
        self.now(now.plus(pause));
    }
}

impl InARow {
    const fn new() -> Self {
        Self { inconclusive: 0, unproven: 0, redirected: 0, unclear: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::default().plus(Duration::from_millis(millis))
    }

    #[test]
    fn the_pause_after_answers_that_lead_nowhere_doubles_from_two_seconds_to_the_interval() {
        let (mut schedule, mut rng) = (VerifySchedule::default(), Rng::new(1));
        let options = VerifyOptions::default();
        for low in [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000] {
            schedule.next_soon(at(0), &options, &mut rng);
            let due = schedule.due.expect("something is due");
            assert!(due >= at(low.min(270_000)) && due <= at(330_000.min(low * 6 / 5 + 60_000)));
        }
        schedule.next_soon(at(0), &options, &mut rng);
        assert_eq!(schedule.kind, Kind::Periodic);
        schedule.answered(Verdict::Valid);
        schedule.next_soon(at(0), &options, &mut rng);
        assert!(schedule.due.is_some_and(|due| due <= at(2_400)), "a success ends the series");
    }

    #[test]
    fn a_redirect_counts_as_unproven_too_and_another_answer_ends_the_series() {
        let mut schedule = VerifySchedule::default();
        schedule.answered(Verdict::Redirected);
        schedule.answered(Verdict::Redirected);
        assert_eq!((schedule.in_a_row.unproven, schedule.in_a_row.redirected), (2, 2));
        schedule.answered(Verdict::NoAnswer);
        assert_eq!(schedule.in_a_row.redirected, 2, "silence tells nothing");
        schedule.answered(Verdict::Forbidden);
        assert_eq!((schedule.in_a_row.redirected, schedule.in_a_row.unclear), (0, 1));
    }
}
