//! Times and durations as the decisions use them.
//!
//! Rule: a time is passed in by whoever has a clock; there is none in here.

use core::fmt;
use core::time::Duration;

/// Milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The time `duration` later; the last one there is where that would be beyond it.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The time `duration` earlier; 1970 where that would be before it.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long ago `earlier` was; nothing where it lies ahead, as after a clock was set back.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long a session or a token lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(Duration);

impl Lifetime {
    /// The shortest: below a second no answer to a sign-in arrives in time.
    pub const MIN: Self = Self(Duration::from_secs(1));
    /// The longest: three months. A stolen token works until its expiry, so for ever is no choice.
    pub const MAX: Self = Self(Duration::from_secs(90 * 24 * 60 * 60));
    /// Of an access token beside a refresh token: half a day, so that a working day has one refresh
    /// at the most.
    pub const ACCESS: Self = Self(Duration::from_secs(12 * 60 * 60));

    /// Accepts whole seconds from [`Lifetime::MIN`] to [`Lifetime::MAX`].
    pub fn from_secs(seconds: u64) -> Result<Self, InvalidLifetime> {
        let lifetime = Duration::from_secs(seconds);
        if (Self::MIN.0..=Self::MAX.0).contains(&lifetime) {
            Ok(Self(lifetime))
        } else {
            Err(InvalidLifetime)
        }
    }

    /// As OAuth's `expires_in` has it (RFC 6749 section 5.1).
    pub fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// The same as a duration.
    pub fn as_duration(self) -> Duration {
        self.0
    }
}

impl Default for Lifetime {
    /// Seven days: whoever comes back each week never signs in again.
    fn default() -> Self {
        Self(Duration::from_secs(7 * 24 * 60 * 60))
    }
}

/// The lifetime is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidLifetime;

impl fmt::Display for InvalidLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (Lifetime::MIN.as_secs(), Lifetime::MAX.as_secs());
        write!(f, "a session lasts {min} to {max} seconds")
    }
}

impl core::error::Error for InvalidLifetime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_of_nothing_or_of_years_is_refused() {
        assert_eq!(Lifetime::from_secs(0), Err(InvalidLifetime));
        assert_eq!(Lifetime::from_secs(u64::MAX), Err(InvalidLifetime));
        assert_eq!(Lifetime::from_secs(Lifetime::MAX.as_secs() + 1), Err(InvalidLifetime));
        assert_eq!(Lifetime::from_secs(Lifetime::MAX.as_secs()), Ok(Lifetime::MAX));
        assert_eq!(Lifetime::from_secs(1), Ok(Lifetime::MIN));
    }

    #[test]
    fn a_clock_at_the_end_of_time_does_not_begin_again() {
        let now = UnixMillis(u64::MAX - 1);
        assert!(now.after(Lifetime::MAX.as_duration()) > now);
    }

    #[test]
    fn what_lies_ahead_was_no_time_ago() {
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
        assert_eq!(UnixMillis(9).since(UnixMillis(5)), Duration::from_millis(4));
    }
}
