//! The time of day, and how it is written.
//!
//! Rule: the server asks the one [`Clock`] it was given, so that a test can move it; `iso` is the
//! one spelling of a time in files and answers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_keeper_tokens::UnixMillis;

/// Where the server takes the time from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self::from_fn(system_now)
    }

    /// One that says what `now` says.
    pub fn from_fn(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

/// The system's time. A clock before 1970 reads as 1970.
pub(crate) fn system_now() -> UnixMillis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// ISO 8601 in UTC with milliseconds, e.g. `2030-01-31T12:00:00.000Z`.
pub(crate) fn iso(time: UnixMillis) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(time.0.min(LAST.0));
    humantime::format_rfc3339_millis(time).to_string()
}

/// Reads what [`iso`] wrote, with or without a fraction of the second.
pub(crate) fn parse_iso(text: &str) -> Result<UnixMillis, InvalidTime> {
    let time = humantime::parse_rfc3339(text).map_err(|_| InvalidTime)?;
    let elapsed = time.duration_since(UNIX_EPOCH).map_err(|_| InvalidTime)?;
    u64::try_from(elapsed.as_millis()).map(UnixMillis).map_err(|_| InvalidTime)
}

/// The text is no ISO 8601 time in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidTime;

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time is ISO 8601 in UTC, e.g. 2030-01-31T12:00:00.000Z")
    }
}

impl std::error::Error for InvalidTime {}

/// 9999-12-31T23:59:59.999Z: beyond it the format has no digits.
const LAST: UnixMillis = UnixMillis(253_402_300_799_999);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written() {
        let time = UnixMillis(1_900_000_000_123);
        assert_eq!(iso(time), "2030-03-17T17:46:40.123Z");
        assert_eq!(parse_iso(&iso(time)), Ok(time));
    }

    #[test]
    fn a_time_beyond_the_format_is_written_as_the_last_one() {
        assert_eq!(iso(UnixMillis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_time_without_a_zone_is_refused() {
        for text in ["2030-03-17T17:46:40", "2030-03-17", "1900000000", "", "yesterday"] {
            assert_eq!(parse_iso(text), Err(InvalidTime), "{text}");
        }
    }
}
