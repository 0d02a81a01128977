//! How consistent the backend is: how often it rejected a token that was good, and how
//! likely it would be to refuse one again and again.
//!
//! Where a backend names its instances they can be counted. Where it does not, one of these is
//! true of it, and its answers tell which (Bayes):
//!
//! - It is consistent: a good token is never rejected. Nine backends in ten.
//! - Its rejections pass: a store or a key that is not ready rejects everybody for some seconds.
//! - It has workers that each know their own tokens: of W workers W-1 refuse a good one.
//!
//! Requests that share a connection meet one worker, and a page cannot see connections. So only
//! answers that are far apart count as independent samples, and a burst counts as one.

use crate::chance::Chance;
use crate::instances::Boot;
use crate::label::Label;
use crate::time::{Duration, Instant, UnixMillis};

/// Answers this far apart count each: longer than the usual keep-alive (gunicorn keeps a
/// connection for 2 s, uvicorn and Node for 5 s).
pub(crate) const MIN_BURST_GAP: Duration = Duration::from_secs(6);
/// Accepted answers after which two rejected bursts are enough with the usual bound.
const LEARNING_SAMPLES: u32 = 7;
/// Counts are in thousandths of a sample, so that they can fade.
const SAMPLE: u32 = 1_000;
/// Each new sample takes this part of the older ones: what a backend did 256 samples ago, nearly a
/// day of regular verifications, says little of what it is after a deploy that nobody announced.
const DECAY: u32 = 256;
/// Regular verifications in a day of eight hours.
const A_DAY: u64 = 96;
/// A day without an answer halves both counts.
const HALVED_IN: u64 = 86_400_000;
/// Workers that keep their own tokens, with the share of backends that are such.
const WORKERS: [(f64, f64); 5] =
    [(2.0, 0.02), (3.0, 0.02), (4.0, 0.02), (8.0, 0.02), (16.0, 0.015)];
const CONSISTENT: f64 = 0.9;
/// One in so many is not.
const INCONSISTENT_ONE_IN: u64 = 10;
const PASSING: f64 = 0.005;
/// How often a backend of passing rejections rejects, and what is left of one after a second:
/// half after two, an eighth after six.
const PASSING_RATE: f64 = 1.0 / 16.0;
const PASSING_LEFT: f64 = 0.707;

/// The history of a backend, as it is kept: it belongs to the backend, not to the session, and
/// survives a sign-out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BackendRecord {
    /// The boot id under which it was gathered.
    pub boot: Option<Label>,
    /// Verifications accepted, far apart, in thousandths: older ones count for less.
    pub accepted: u32,
    /// Rejections of a token that was accepted afterwards, in thousandths.
    pub rejected: u32,
    /// When it was last added to.
    pub at: UnixMillis,
}

#[derive(Debug, Default)]
pub(crate) struct Backend {
    record: BackendRecord,
    last_sample: Option<Instant>,
    continuity: ProcessContinuity,
}

/// Whether the process that answers is the one that last accepted a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ProcessContinuity {
    #[default]
    Same,
    /// It started since then.
    Restarted,
}

/// What a confirmation has gathered: rejected bursts, and the time from the first to the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected {
    pub(crate) bursts: u32,
    pub(crate) span: Duration,
}

impl Backend {
    /// Takes what was kept, unless more is known already.
    pub(crate) fn restore(&mut self, record: BackendRecord, wall: UnixMillis) {
        if self.record.boot.is_some() && self.record.boot != record.boot {
            // An answer was faster than the store, and it came from another start.
            if record.boot.is_some() && self.last_sample.is_none() {
                self.continuity = ProcessContinuity::Restarted;
            }
            return;
        }
        if record.at <= self.record.at {
            return;
        }
        self.record = record;
        // More days than that leave nothing anyway.
        let days = (wall.0.saturating_sub(record.at.0) / HALVED_IN).min(31);
        self.record.accepted >>= days;
        self.record.rejected >>= days;
    }

    /// An answer of the server's own came: `boot` says what its id and its uptime tell.
    pub(crate) fn see(
        &mut self,
        boot: Boot,
        id: Option<Label>,
        up: Option<Duration>,
        wall: UnixMillis,
    ) {
        let active_since = up.map(|up| wall.0.saturating_sub(up.as_millis()));
        // The page was loaded since: what was kept may be of a worker that is still there.
        let is_older = active_since.is_some_and(|active_since| active_since <= self.record.at.0);
        let is_new_process = match boot {
            Boot::Changed => true,
            Boot::First => self.record.boot.is_some() && id != self.record.boot && !is_older,
            Boot::Known => false,
        };
        if is_new_process {
            self.continuity = ProcessContinuity::Restarted;
            self.record = BackendRecord::default();
        }
        if boot != Boot::Known {
            self.record.boot = id;
        }
    }

    /// A token was accepted. Returns whether that told anything new.
    pub(crate) fn accepted(&mut self, now: Instant, wall: UnixMillis) -> bool {
        let restarted = core::mem::take(&mut self.continuity) == ProcessContinuity::Restarted;
        let apart = self.last_sample.is_none_or(|last| now.since(last) >= MIN_BURST_GAP);
        if apart {
            self.draw(now, wall, SAMPLE, 0);
        }
        apart || restarted
    }

    /// A token was accepted that had been rejected in so many bursts.
    pub(crate) fn refuted(&mut self, now: Instant, wall: UnixMillis, bursts: u32) {
        self.continuity = ProcessContinuity::Same;
        self.draw(now, wall, SAMPLE, bursts.saturating_mul(SAMPLE));
    }

    pub(crate) const fn record(&self) -> BackendRecord {
        self.record
    }

    /// Whether the process started since it last accepted a token.
    pub(crate) fn is_new_process(&self) -> bool {
        self.continuity == ProcessContinuity::Restarted
    }

    /// Whether it was caught refusing a token that was good.
    pub(crate) const fn contradicts_itself(&self) -> bool {
        self.record.rejected >= SAMPLE / 2
    }

    /// Below which chance a rejection is believed, where the app wants one of `most` at the most.
    /// That must hold for the one backend in ten that is not consistent, and not only for all of
    /// them on average. One that is known to refuse good tokens does so at each verification, so
    /// there the bound is one for a whole day.
    pub(crate) const fn bound(&self, most: Chance) -> Chance {
        most.divided(if self.contradicts_itself() { A_DAY } else { INCONSISTENT_ONE_IN })
    }

    /// How many learning samples it still needs before a rejection can be believed soon.
    pub(crate) const fn samples_left(&self) -> u32 {
        LEARNING_SAMPLES.saturating_sub(samples(self.record.accepted))
    }

    /// How likely a good token would have been rejected so often.
    pub(crate) fn chance(&self, mind: HistoryUse, rejected: Rejected) -> Chance {
        let BackendRecord { accepted, rejected: contradictions, .. } = self.record;
        let known =
            false_rejection_probability(samples(accepted), samples(contradictions), rejected);
        match mind {
            HistoryUse::Known => known,
            HistoryUse::Unknown => known.max(false_rejection_probability(0, 0, rejected)),
        }
    }

    fn draw(&mut self, now: Instant, wall: UnixMillis, accepted: u32, rejected: u32) {
        self.last_sample = Some(now);
        let fade = |count: u32| count - count / DECAY;
        let record = &mut self.record;
        record.accepted = fade(record.accepted).saturating_add(accepted);
        record.rejected = fade(record.rejected).saturating_add(rejected);
        record.at = wall;
    }
}

/// How much of the history counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistoryUse {
    Known,
    /// Weak rejections are judged as if nothing were known of the backend.
    Unknown,
}

/// How likely it is that a good token is rejected so often by a backend that accepted such ones in
/// so many samples and rejected them in so many others.
fn false_rejection_probability(accepted: u32, contradictions: u32, rejected: Rejected) -> Chance {
    let left = power(PASSING_LEFT, (rejected.span.as_millis() / 1_000) as u32);
    let passing =
        PASSING * power(1.0 - PASSING_RATE, accepted) * power(PASSING_RATE, contradictions);
    let consistent = if contradictions > 0 { 0.0 } else { CONSISTENT };
    let mut all = consistent + passing;
    let mut false_rejection_probability = passing * PASSING_RATE * left;
    for (workers, share) in WORKERS {
        let (knows, rejects) = (1.0 / workers, 1.0 - 1.0 / workers);
        let weight = share * power(knows, accepted) * power(rejects, contradictions);
        all += weight;
        false_rejection_probability += weight * power(rejects, rejected.bursts);
    }
    // Counts that no hypothesis explains tell nothing.
    Chance::of(if all > 0.0 { false_rejection_probability / all } else { 1.0 })
}

/// The nearest whole number of samples.
const fn samples(count: u32) -> u32 {
    count.saturating_add(SAMPLE / 2) / SAMPLE
}

/// `core` has no powers of floats.
fn power(base: f64, exponent: u32) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
