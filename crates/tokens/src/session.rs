//! The row that stands for a signed-in user, and the verdict on it.
//!
//! Rule: a session is valid while the time is before its expiry, and not a millisecond longer.
//!
//! It deliberately does not know the token that the row belongs to, nor who keeps the rows.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::TokenHash;

/// Milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The time `duration` later; the last one there is where that would be beyond it.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(Duration);

impl Lifetime {
    /// The shortest: below a second no answer to a sign-in arrives in time.
    pub const MIN: Self = Self(Duration::from_secs(1));
    /// The longest: three months. A stolen token works until its expiry, so for ever is no choice.
    pub const MAX: Self = Self(Duration::from_secs(90 * 24 * 60 * 60));

    /// Accepts whole seconds from [`Lifetime::MIN`] to [`Lifetime::MAX`].
    pub fn from_secs(seconds: u64) -> Result<Self, InvalidLifetime> {
        let lifetime = Duration::from_secs(seconds);
        if (Self::MIN.0..=Self::MAX.0).contains(&lifetime) {
            Ok(Self(lifetime))
        } else {
            Err(InvalidLifetime)
        }
    }

    /// As OAuth's `expires_in` has it.
    pub fn as_secs(self) -> u64 {
        self.0.as_secs()
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

/// One signed-in session, as it is stored under the hash of its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub username: String,
    /// When the user signed in.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    pub expires_at: UnixMillis,
}

impl Session {
    /// Begins a session at `now`.
    pub fn new(username: String, now: UnixMillis, lifetime: Lifetime) -> Self {
        Self { username, created_at: now, expires_at: now.after(lifetime.0) }
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires_at <= now
    }
}

/// What a presented token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Serve the request as this session's user.
    Valid(Session),
    /// There was such a session; its time is over.
    Expired,
    /// No such session: never there, signed out, revoked, or cleaned up.
    Unknown,
}

/// Decides on the row found under a token's hash. A store that could not be asked has no row to
/// pass in: that is an error of its own and never [`Verdict::Unknown`].
#[must_use]
pub fn verify(row: Option<Session>, now: UnixMillis) -> Verdict {
    match row {
        Some(session) if session.is_expired(now) => Verdict::Expired,
        Some(session) => Verdict::Valid(session),
        None => Verdict::Unknown,
    }
}

/// Drops the rows whose time is over, and says how many they were.
pub fn drop_expired(rows: &mut BTreeMap<TokenHash, Session>, now: UnixMillis) -> usize {
    let before = rows.len();
    rows.retain(|_, session| !session.is_expired(now));
    before - rows.len()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::Token;

    const SIGN_IN: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn a_session_is_valid_until_the_millisecond_of_its_expiry() {
        let session = session_of(10);
        let expiry = SIGN_IN.0 + 10_000;
        let just_before = verify(Some(session.clone()), UnixMillis(expiry - 1));
        assert_eq!(just_before, Verdict::Valid(session.clone()));
        assert_eq!(verify(Some(session), UnixMillis(expiry)), Verdict::Expired);
    }

    #[test]
    fn no_row_is_an_unknown_token() {
        assert_eq!(verify(None, SIGN_IN), Verdict::Unknown);
    }

    #[test]
    fn a_session_lasts_seven_days_by_default() {
        let session = Session::new("ada".to_string(), SIGN_IN, Lifetime::default());
        assert_eq!(session.expires_at.0 - session.created_at.0, 604_800_000);
    }

    #[test]
    fn a_lifetime_of_nothing_or_of_years_is_refused() {
        assert_eq!(Lifetime::from_secs(0), Err(InvalidLifetime));
        assert_eq!(Lifetime::from_secs(u64::MAX), Err(InvalidLifetime));
        assert_eq!(Lifetime::from_secs(Lifetime::MAX.as_secs() + 1), Err(InvalidLifetime));
        assert_eq!(Lifetime::from_secs(Lifetime::MAX.as_secs()), Ok(Lifetime::MAX));
        assert_eq!(Lifetime::from_secs(1), Ok(Lifetime::MIN));
    }

    #[test]
    fn a_clock_at_the_end_of_time_makes_no_session_that_has_expired_already_by_overflow() {
        let now = UnixMillis(u64::MAX - 1);
        assert!(!Session::new("ada".to_string(), now, Lifetime::MAX).is_expired(now));
    }

    #[test]
    fn clean_up_drops_what_expired_and_nothing_else() {
        let [short, long] = [1, 2].map(|seed| Token::from_random([seed; 32]).hash());
        let mut rows = BTreeMap::from([(short, session_of(1)), (long, session_of(60))]);
        assert_eq!(drop_expired(&mut rows, SIGN_IN.after(Duration::from_secs(1))), 1);
        assert_eq!(rows, BTreeMap::from([(long, session_of(60))]));
    }

    fn session_of(seconds: u64) -> Session {
        let lifetime = Lifetime::from_secs(seconds).expect("the tests use lifetimes within bounds");
        Session::new("ada".to_string(), SIGN_IN, lifetime)
    }
}
