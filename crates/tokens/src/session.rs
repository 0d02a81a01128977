//! The row that stands for one token of a signed-in user, and the verdict on it.
//!
//! Rule 1: a token is valid while the time is before its expiry, and not a millisecond longer.
//! Rule 2: all tokens that follow from one sign-in carry its [`SessionId`]; they end together.
//!
//! It deliberately does not know the token that the row belongs to, nor who keeps the rows.

use alloc::boxed::Box;
use alloc::string::String;
use core::net::IpAddr;
use core::time::Duration;

use subtle::ConstantTimeEq;

use crate::hex::hex_type;
use crate::{Device, Lifetime, Rotation, Token, TokenHash, UnixMillis};

/// How long a row is kept after it expired.
pub const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// A use within a minute of the last one that was noted is not worth a write.
const USE_IS_NOTED_EACH: Duration = Duration::from_secs(60);

/// What one sign-in began, and all tokens that follow from it share. Not a secret towards its
/// user, and in nobody else's answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);
hex_type!(SessionId, 16);

impl SessionId {
    /// For rows of an older version, in which each token was a session.
    pub fn of_single_token(hash: &TokenHash) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&hash.0[..16]);
        Self(id)
    }

    /// What a page of ours sends along to show that it is one: other origins can make a browser
    /// send the cookie, but cannot read this. Follows from the id, so no store keeps it.
    pub fn csrf_token(&self) -> String {
        Token::derive("csrf", &self.0).expose()
    }

    /// Compares in a time that does not depend on where the texts differ.
    pub fn is_csrf_token(&self, presented: &[u8]) -> bool {
        self.csrf_token().as_bytes().ct_eq(presented).into()
    }
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For requests.
    Access,
    /// For getting the next pair of tokens, and for nothing else.
    Refresh,
}

/// The client's address that a token is bound to, so that nobody can read it off: a hash with the
/// token itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; 32]);
hex_type!(Binding, 32);

impl Binding {
    /// Of IPv6 the network counts.
    pub fn new(token: &Token, address: IpAddr) -> Self {
        Self(token.bind("address", &network_of(address).to_be_bytes()))
    }
}

/// What is the same for a client from day to day: of IPv6 the first half (RFC 8981: the rest
/// changes, and is the client's to choose).
pub fn network_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6) >> 64 << 64,
    }
}

/// Which key a signed token was signed with (RFC 7517 section 4.5: `kid`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);
hex_type!(KeyId, 8);

/// One token of a session, as it is stored under the token's hash. Small, because a million of them
/// are in memory where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The sign-in that it follows from.
    pub id: SessionId,
    /// What it is good for.
    pub kind: Kind,
    /// Where the user signed in.
    pub device: Device,
    /// Whose it is.
    pub username: Box<str>,
    /// When the user signed in.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    pub expires_at: UnixMillis,
    /// When the user last did something with it, to a minute; zero before the first time.
    pub used_at: UnixMillis,
    /// The address that it may come from, where that counts.
    pub bound_to: Option<Box<Binding>>,
    /// What became of it, if another token took its place.
    pub rotation: Option<Box<Rotation>>,
    /// What it was signed with, if it was signed.
    pub key: Option<KeyId>,
}

impl Session {
    /// Begins a session at `now`.
    pub fn begin(
        id: SessionId,
        username: &str,
        device: Device,
        now: UnixMillis,
        lifetime: Lifetime,
    ) -> Self {
        Self {
            id,
            kind: Kind::Access,
            device,
            username: username.into(),
            created_at: now,
            expires_at: now.after(lifetime.as_duration()),
            used_at: now,
            bound_to: None,
            rotation: None,
            key: None,
        }
    }

    /// Another token of the same sign-in.
    #[must_use]
    pub fn sibling(&self, kind: Kind, expires_at: UnixMillis) -> Self {
        Self {
            kind,
            expires_at,
            used_at: UnixMillis(0),
            bound_to: None,
            rotation: None,
            key: None,
            ..self.clone()
        }
    }

    /// Ties it to an address.
    #[must_use]
    pub fn bound(mut self, to: Option<Binding>) -> Self {
        self.bound_to = to.map(Box::new);
        self
    }

    /// Notes what it is signed with.
    #[must_use]
    pub fn signed_with(mut self, key: Option<KeyId>) -> Self {
        self.key = key;
        self
    }

    /// Whether it went unused for `limit` at `now`. A token of `lifetime` that was not used yet
    /// counts from when it was issued.
    pub fn is_idle(&self, now: UnixMillis, limit: Duration, lifetime: Lifetime) -> bool {
        let last_use = match self.used_at {
            UnixMillis(0) => self.expires_at.before(lifetime.as_duration()),
            used_at => used_at,
        };
        now.since(last_use) >= limit
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires_at <= now
    }

    /// Whether it may be forgotten at `now`: it expired a day ago. A clock that was ahead for a
    /// while would otherwise have ended every session for good.
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        self.expires_at.after(KEPT_AFTER_EXPIRY) <= now
    }

    /// Whether a use at `now` is to be written down.
    pub fn is_worth_noting(&self, now: UnixMillis) -> bool {
        now.since(self.used_at) >= USE_IS_NOTED_EACH
    }

    /// Whether it may be used from where `presented` was made.
    pub fn may_come_from(&self, presented: &Binding) -> bool {
        self.bound_to.as_deref().is_none_or(|bound| bound.0.ct_eq(&presented.0).into())
    }
}

/// What a presented access token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Serve the request as this session's user.
    Valid(Session),
    /// Valid, as long as its successor has not taken over: ask [`crate::is_superseded`] with the
    /// successor's row.
    Rotated(Session),
    /// There was such a session; its time is over.
    Expired(Session),
    /// No such session: never there, signed out, revoked, or cleaned up.
    Unknown,
}

/// Decides on the row found under a token's hash. A store that could not be asked has no row to
/// pass in: that is an error of its own and never [`Verdict::Unknown`].
#[must_use]
pub fn verify(row: Option<Session>, now: UnixMillis) -> Verdict {
    match row {
        // A refresh token is for the refresh path only (RFC 6749 section 1.5).
        Some(session) if session.kind == Kind::Refresh => Verdict::Unknown,
        Some(session) if session.is_expired(now) => Verdict::Expired(session),
        Some(session) if session.rotation.is_some() => Verdict::Rotated(session),
        Some(session) => Verdict::Valid(session),
        None => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGN_IN: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn a_session_is_valid_until_the_millisecond_of_its_expiry() {
        let session = session_of(10);
        let expiry = SIGN_IN.0 + 10_000;
        let just_before = verify(Some(session.clone()), UnixMillis(expiry - 1));
        assert_eq!(just_before, Verdict::Valid(session.clone()));
        assert_eq!(verify(Some(session.clone()), UnixMillis(expiry)), Verdict::Expired(session));
    }

    #[test]
    fn no_row_is_an_unknown_token() {
        assert_eq!(verify(None, SIGN_IN), Verdict::Unknown);
    }

    #[test]
    fn a_refresh_token_opens_no_request() {
        let refresh = session_of(10).sibling(Kind::Refresh, SIGN_IN.after(Duration::from_secs(10)));
        assert_eq!(verify(Some(refresh), SIGN_IN), Verdict::Unknown);
    }

    #[test]
    fn a_session_lasts_seven_days_by_default() {
        let id = SessionId::from([1; 16]);
        let session = Session::begin(id, "ada", Device::default(), SIGN_IN, Lifetime::default());
        assert_eq!(session.expires_at.0 - session.created_at.0, 604_800_000);
    }

    #[test]
    fn what_expired_is_kept_for_a_day_in_case_the_clock_is_wrong() {
        let session = session_of(10);
        let expired = SIGN_IN.after(Duration::from_secs(10));
        assert!(session.is_expired(expired) && !session.is_stale(expired));
        assert!(!session.is_stale(expired.after(Duration::from_secs(86_399))));
        assert!(session.is_stale(expired.after(Duration::from_secs(86_400))));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let session = session_of(3600);
        assert!(!session.is_worth_noting(SIGN_IN.after(Duration::from_millis(59_999))));
        assert!(session.is_worth_noting(SIGN_IN.after(Duration::from_secs(60))));
    }

    #[test]
    fn a_session_is_idle_from_the_limit_on_and_a_new_token_counts_from_its_issue() {
        let limit = Duration::from_secs(600);
        let lifetime = Lifetime::from_secs(3600).expect("it is within bounds");
        let at = |seconds| SIGN_IN.after(Duration::from_secs(seconds));
        let session = session_of(3600);
        assert!(!session.is_idle(at(599), limit, lifetime));
        assert!(session.is_idle(at(600), limit, lifetime));
        let successor = session.sibling(Kind::Access, at(1000 + 3600));
        assert!(!successor.is_idle(at(1599), limit, lifetime));
        assert!(successor.is_idle(at(1600), limit, lifetime));
    }

    #[test]
    fn a_csrf_token_belongs_to_one_session() {
        let [one, other] = [[1; 16], [2; 16]].map(SessionId::from);
        assert!(one.is_csrf_token(one.csrf_token().as_bytes()));
        assert!(!one.is_csrf_token(other.csrf_token().as_bytes()));
        assert!(!one.is_csrf_token(b""));
    }

    #[test]
    fn a_bound_token_may_come_from_its_network_only() {
        let token = Token::from_random([7; 32]);
        let bind = |text: &str| Binding::new(&token, text.parse().expect("it is an address"));
        let bound = session_of(10).bound(Some(bind("192.0.2.1")));
        assert!(bound.may_come_from(&bind("192.0.2.1")));
        assert!(bound.may_come_from(&bind("::ffff:192.0.2.1")));
        assert!(!bound.may_come_from(&bind("192.0.2.2")));
        let bound = session_of(10).bound(Some(bind("2001:db8:0:1::5")));
        assert!(bound.may_come_from(&bind("2001:db8:0:1:ffff::9")));
        assert!(!bound.may_come_from(&bind("2001:db8:0:2::5")));
        assert!(session_of(10).may_come_from(&bind("192.0.2.2")), "not bound");
    }

    #[test]
    fn what_is_stored_of_a_binding_differs_from_token_to_token() {
        let address = "192.0.2.1".parse().expect("it is an address");
        let [one, other] =
            [1, 2].map(|seed| Binding::new(&Token::from_random([seed; 32]), address));
        assert!(one != other);
    }

    fn session_of(seconds: u64) -> Session {
        let lifetime = Lifetime::from_secs(seconds).expect("the tests use lifetimes within bounds");
        Session::begin(SessionId::from([1; 16]), "ada", Device::default(), SIGN_IN, lifetime)
    }
}
