//! Whether an answer comes from the server now, or from a store in between: a service worker, a
//! CDN, the browser.
//!
//! `Age` says it. `Date` shows it too: the dates of a server advance, those of a stored answer
//! stand still. A date that merely differs from this device's clock proves nothing, because the
//! clock may be hours off.

use crate::answer::{Response, Source};
use crate::time::{Duration, Instant, UnixMillis};

/// A date may be this much behind what the answers before it lead to expect.
const TOLERANCE: i64 = 60_000;
/// Dates have whole seconds: two answers within less may have the same one.
const RESOLUTION: Duration = Duration::from_secs(2);

/// What the dates of one path have shown.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// The newest date less the moment at which it was asked for, on the keeper's line.
    offset: Option<i64>,
    /// A date that was too old, and when its answer was asked for.
    old: Option<(UnixMillis, Instant)>,
}

impl Freshness {
    /// Takes an answer to a request that was sent at `sent`, when this device's clock said `wall`.
    pub(crate) fn observe(
        &mut self,
        response: &Response,
        sent: Instant,
        wall: UnixMillis,
    ) -> Source {
        // RFC 9111 section 5.1. Some platforms say 0 on every answer that they pass on.
        if response.age.is_some_and(|age| age > Duration::ZERO) {
            return Source::Stored;
        }
        let Some(date) = response.date else { return Source::Server };
        let offset = date.0 as i64 - sent.since(Instant::default()).as_millis() as i64;
        let by_clock = date.0 as i64 - wall.0 as i64;
        let is_expected = match self.offset {
            Some(known) => offset >= known - TOLERANCE,
            None => by_clock >= -TOLERANCE,
        };
        if is_expected {
            self.offset = Some(self.offset.map_or(offset, |known| known.max(offset)));
            self.old = None;
            return Source::Server;
        }
        let Some((old, seen)) = self.old else {
            self.old = Some((date, sent));
            return Source::Unclear;
        };
        let elapsed = sent.since(seen);
        let advanced = date.0 as i64 - old.0 as i64;
        if elapsed < RESOLUTION {
            return Source::Unclear;
        }
        if advanced > 0 && advanced >= elapsed.as_millis() as i64 - TOLERANCE {
            // The date goes with time: it is this device's clock that is off, or was set.
            (self.offset, self.old) = (Some(offset), None);
            return Source::Server;
        }
        Source::Stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    /// The answers to requests sent at these seconds, with these dates in seconds; the device's
    /// clock is at 10,000 s when the line begins.
    fn observe(answers: &[(u64, u64)]) -> std::vec::Vec<Source> {
        let mut freshness = Freshness::default();
        let source = |(sent, date): &(u64, u64)| {
            let date = Some(UnixMillis(date * 1_000));
            let response = Response { date, ..Response::default() };
            freshness.observe(&response, at(*sent), UnixMillis((10_000 + sent) * 1_000))
        };
        answers.iter().map(source).collect()
    }

    #[test]
    fn an_age_tells_of_a_cache_and_zero_does_not() {
        for (age, source) in [(0, Source::Server), (1, Source::Stored)] {
            let age = Some(Duration::from_secs(age));
            let response = Response { age, ..Response::default() };
            let mut freshness = Freshness::default();
            assert_eq!(freshness.observe(&response, at(0), UnixMillis(0)), source);
        }
    }

    #[test]
    fn a_date_that_stands_still_is_a_stored_answers() {
        use Source::{Server, Stored, Unclear};
        assert_eq!(observe(&[(0, 10_000), (30, 10_030), (300, 10_030)]), [Server, Server, Unclear]);
        let worker = [(0, 10_000), (120, 10_000), (150, 10_000), (180, 10_000)];
        assert_eq!(observe(&worker), [Server, Unclear, Stored, Stored]);
        assert_eq!(observe(&[(0, 9_000), (3, 9_000), (9, 9_000)]), [Unclear, Stored, Stored]);
    }

    #[test]
    fn a_clock_that_is_two_hours_ahead_costs_one_more_request() {
        use Source::{Server, Unclear};
        let behind = [(0, 2_800), (2, 2_802), (300, 3_100)];
        assert_eq!(observe(&behind), [Unclear, Server, Server]);
        assert_eq!(observe(&[(0, 17_200), (300, 17_500)]), [Server, Server]);
    }

    #[test]
    fn a_clock_that_is_set_ahead_an_hour_is_no_store() {
        use Source::{Server, Unclear};
        // The line takes the step for an hour asleep.
        assert_eq!(
            observe(&[(0, 10_000), (3_610, 10_010), (3_613, 10_013)]),
            [Server, Unclear, Server]
        );
    }

    #[test]
    fn an_answer_without_a_date_that_can_be_read_counts() {
        let mut freshness = Freshness::default();
        let source = freshness.observe(&Response::default(), at(0), UnixMillis(0));
        assert_eq!(source, Source::Server);
    }
}
