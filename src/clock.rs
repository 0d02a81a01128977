//! The platform's two clocks. The only file that reads them.

#![allow(clippy::disallowed_methods, reason = "this is the place")]

use session_keeper_core::{Duration, Now, UnixMillis};

use crate::global;

pub(crate) fn now() -> Now {
    let monotonic = global::window().performance().map_or(0.0, |performance| performance.now());
    Now { monotonic: Duration::from_millis(monotonic as u64), wall: wall() }
}

pub(crate) fn wall() -> UnixMillis {
    UnixMillis(js_sys::Date::now() as u64)
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7), or nothing where it is none.
pub(crate) fn parse_date(text: &str) -> Option<UnixMillis> {
    let millis = js_sys::Date::parse(text);
    // NaN is not at least zero.
    (millis >= 0.0).then_some(UnixMillis(millis as u64))
}
