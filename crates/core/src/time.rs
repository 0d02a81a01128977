//! Time as the core knows it: two readings from outside, folded into one line that counts sleep.
//!
//! Monotonic clocks stop while most machines sleep, and wall clocks are set by hand. The line
//! follows the monotonic clock and adds what the wall clock alone says has passed. Everything in
//! whole milliseconds: floating point and `core::time::Duration` cost kilobytes in wasm.

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A length in milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A length in seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(crate) const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

/// A moment on the keeper's line: milliseconds since the keeper was made, sleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Instant(u64);

impl Instant {
    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(length.0))
    }

    pub(crate) const fn minus(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

/// Milliseconds since 1970 (UTC) by some clock that nobody trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// How long after `earlier` this is; zero when it is not after it.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

/// What the two clocks of the platform say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Now {
    /// The monotonic clock, counted from any fixed point.
    pub monotonic: Duration,
    /// The wall clock.
    pub wall: UnixMillis,
}

impl Now {
    /// Two readings in milliseconds.
    #[must_use]
    pub const fn from_millis(monotonic: u64, wall: u64) -> Self {
        Self { monotonic: Duration(monotonic), wall: UnixMillis(wall) }
    }
}

/// Below this the two clocks merely drift (NTP slews, coarse timers); above it the machine slept
/// or somebody set the clock, and both mean the same here: what we knew is old.
const SLEEP: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Clock {
    line: Instant,
    last: Option<Now>,
    skew: Option<i64>,
}

impl Clock {
    pub(crate) const fn new() -> Self {
        Self { line: Instant(0), last: None, skew: None }
    }

    /// Moves the line on and returns how long the machine slept, if it did.
    pub(crate) fn advance(&mut self, now: Now) -> Option<Duration> {
        let last = self.last.replace(now)?;
        let awake = now.monotonic.0.saturating_sub(last.monotonic.0);
        let passed = now.wall.0.saturating_sub(last.wall.0);
        let slept = Duration(passed.saturating_sub(awake));
        let set_back = last.wall.0.saturating_add(awake).saturating_sub(now.wall.0);
        if slept.max(Duration(set_back)) > SLEEP {
            // Somebody may have set the clock: how far it is off must be learned again.
            self.skew = None;
        }
        self.line = self.line.plus(Duration(awake));
        if slept <= SLEEP {
            return None;
        }
        self.line = self.line.plus(slept);
        Some(slept)
    }

    pub(crate) const fn now(&self) -> Instant {
        self.line
    }

    pub(crate) fn wall(&self) -> UnixMillis {
        self.last.map_or(UnixMillis(0), |now| now.wall)
    }

    /// Takes the server's own reading, so that a browser that is hours off knows what has expired.
    pub(crate) fn learn(&mut self, server: UnixMillis) {
        // Readings of 2^62 and above are no time; the difference would leave i64.
        if server.0 < 1 << 62 {
            self.skew = Some(server.0 as i64 - self.wall().0 as i64);
        }
    }

    /// How far the wall clock is off, where the server has told.
    pub(crate) fn skew(&self) -> Option<Duration> {
        self.skew.map(|skew| Duration(skew.unsigned_abs()))
    }

    /// The wall clock as the server would read it, where the server has told.
    pub(crate) fn server_wall(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.wall().0.saturating_add_signed(self.skew?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_at(monotonic: u64, wall: u64) -> Clock {
        let mut clock = Clock::new();
        clock.advance(Now::from_millis(monotonic, wall));
        clock
    }

    #[test]
    fn a_night_asleep_counts_though_the_monotonic_clock_stopped() {
        let mut clock = clock_at(1_000, 1_000_000);
        let slept = clock.advance(Now::from_millis(2_000, 1_000_000 + 8 * 3_600_000));
        assert_eq!(slept, Some(Duration::from_millis(8 * 3_600_000 - 1_000)));
        assert_eq!(clock.now().since(Instant(0)), Duration::from_millis(8 * 3_600_000));
    }

    #[test]
    fn a_wall_clock_set_back_neither_stops_nor_reverses_the_line() {
        let mut clock = clock_at(1_000, 1_000_000);
        assert_eq!(clock.advance(Now::from_millis(4_000, 10)), None);
        assert_eq!(clock.now().since(Instant(0)), Duration::from_millis(3_000));
    }

    #[test]
    fn drift_below_five_seconds_is_not_sleep() {
        let mut clock = clock_at(0, 0);
        assert_eq!(clock.advance(Now::from_millis(60_000, 64_999)), None);
        assert_eq!(clock.now().since(Instant(0)), Duration::from_secs(60));
    }

    #[test]
    fn a_monotonic_clock_that_runs_backwards_is_ignored() {
        let mut clock = clock_at(10_000, 10_000);
        clock.advance(Now::from_millis(5_000, 10_000));
        assert_eq!(clock.now(), Instant(0));
    }

    #[test]
    fn the_servers_clock_corrects_a_browser_that_is_hours_off() {
        let mut clock = clock_at(0, 1_000_000);
        clock.learn(UnixMillis(4_600_000));
        clock.advance(Now::from_millis(500, 1_000_500));
        assert_eq!(clock.server_wall(), Some(UnixMillis(4_600_500)));
    }

    #[test]
    fn a_clock_that_was_set_tells_no_server_time_until_the_server_has_told_again() {
        for wall in [1_000_000 + 3_600_000, 10] {
            let mut clock = clock_at(0, 1_000_000);
            clock.learn(UnixMillis(1_000_000));
            clock.advance(Now::from_millis(1_000, wall));
            assert_eq!(clock.server_wall(), None);
        }
    }

    #[test]
    fn a_reading_that_is_no_time_teaches_nothing() {
        let mut clock = clock_at(0, 1_000);
        clock.learn(UnixMillis(u64::MAX));
        assert_eq!(clock.server_wall(), None);
    }
}
