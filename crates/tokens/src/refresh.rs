//! One token taking another's place: refresh with reuse detection, and rotation on activity.
//!
//! Rule 1: a token has one successor. Whoever may have it again gets the same one: there are no
//! forks to keep apart.
//! Rule 2: a refresh token that comes back after its successor was handed out is either a repeat of
//! the same attempt, or somebody holds a copy; then the whole session ends (RFC 9700 section
//! 4.14.2).
//!
//! It deliberately does not know who keeps the rows; that only one of two rotations takes place is
//! the store's to hold.

use core::time::Duration;

use crate::rotation::{Attempt, Rotation};
use crate::{Kind, Lifetime, Session, UnixMillis};

/// How refresh tokens are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// How long an access token lasts beside a refresh token.
    pub access: Lifetime,
    /// How long anybody who holds the predecessor gets the successor again. Zero: never; what
    /// authorization servers allow is up to a minute, and the thief of a token may use it too.
    pub grace: Duration,
    /// How long the same attempt gets the same successor, used or not, so that a lost answer ends
    /// no session.
    pub repeat: Duration,
}

/// What a presented refresh token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// Hand out a successor.
    Rotate(Session),
    /// Hand out the successor that there is.
    Repeat(Session, Rotation),
    /// The same attempt, and late. Hand out the successor if it [`is_unused`]: the client has never
    /// had it. Otherwise it is a reuse.
    RepeatIfUnused(Session, Rotation),
    /// It was used up, and comes back: end the whole session.
    Reused(Session),
    /// Its time is over.
    Expired(Session),
    /// There is no such refresh token.
    Unknown,
}

/// Decides on the row found under a refresh token's hash.
#[must_use]
pub fn refresh(
    row: Option<Session>,
    now: UnixMillis,
    attempt: Option<Attempt>,
    policy: &RefreshPolicy,
) -> Refresh {
    let Some(session) = row.filter(|session| session.kind == Kind::Refresh) else {
        return Refresh::Unknown;
    };
    if session.is_expired(now) {
        return Refresh::Expired(session);
    }
    let Some(rotation) = session.rotation.as_deref().copied() else {
        return Refresh::Rotate(session);
    };
    let ago = now.since(rotation.at);
    let same_attempt = attempt.is_some() && rotation.attempt == attempt;
    if ago < policy.grace || (same_attempt && ago < policy.repeat) {
        Refresh::Repeat(session, rotation)
    } else if same_attempt {
        Refresh::RepeatIfUnused(session, rotation)
    } else {
        Refresh::Reused(session)
    }
}

/// Whether the pair that took a refresh token's place was never used, as far as the store knows: an
/// answer that was lost, and is asked for again when the lid of the laptop is opened.
#[must_use]
pub fn is_unused(rotation: &Rotation, access: Option<&Session>, refresh: Option<&Session>) -> bool {
    let is_fresh = |refresh: &Session| refresh.rotation.is_none();
    refresh.is_some_and(is_fresh) && access.is_none_or(|access| access.used_at <= rotation.at)
}

/// Whether a token that lasts `lifetime` is so old at `now` that activity rotates it.
#[must_use]
pub fn is_due(session: &Session, now: UnixMillis, lifetime: Lifetime, after: Lifetime) -> bool {
    let left = session.expires_at.since(now);
    left + after.as_duration() <= lifetime.as_duration()
}

/// How long requests that were under way with the old token still count after a rotation on
/// activity. A browser sends none with it later: the new cookie has taken its place.
const OVERLAP: Duration = Duration::from_secs(60);

/// Whether a token that was rotated on activity has had its day: its successor was used, so the
/// client has it. `None`: the successor is gone, and with it the session.
#[must_use]
pub fn is_superseded(rotation: &Rotation, successor: Option<&Session>, now: UnixMillis) -> bool {
    let is_used = successor.is_none_or(|successor| successor.used_at > UnixMillis(0));
    is_used && now.since(rotation.at) >= OVERLAP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Sealed, SessionId};

    const SIGN_IN: UnixMillis = UnixMillis(1_800_000_000_000);
    const POLICY: RefreshPolicy = RefreshPolicy {
        access: Lifetime::ACCESS,
        grace: Duration::from_secs(10),
        repeat: Duration::from_secs(600),
    };

    #[test]
    fn a_fresh_refresh_token_is_rotated() {
        let row = refresh_token();
        assert_eq!(decide(&row, 5, None), Refresh::Rotate(row));
    }

    #[test]
    fn an_access_token_and_no_token_refresh_nothing() {
        let access = refresh_token().sibling(Kind::Access, SIGN_IN.after(Duration::from_secs(99)));
        assert_eq!(decide(&access, 5, None), Refresh::Unknown);
        assert_eq!(refresh(None, SIGN_IN, None, &POLICY), Refresh::Unknown);
    }

    #[test]
    fn a_refresh_token_past_its_expiry_is_refused_also_when_it_was_rotated() {
        let row = refresh_token();
        assert_eq!(decide(&row, 3600, None), Refresh::Expired(row.clone()));
        let rotated = rotated_at(0, None);
        assert!(matches!(decide(&rotated, 3600, None), Refresh::Expired(_)));
    }

    #[test]
    fn within_the_grace_window_everybody_gets_the_same_successor() {
        let rotated = rotated_at(5, attempt("a"));
        assert!(matches!(decide(&rotated, 14, None), Refresh::Repeat(..)));
        assert!(matches!(decide(&rotated, 14, attempt("b")), Refresh::Repeat(..)));
        assert!(matches!(decide(&rotated, 15, attempt("b")), Refresh::Reused(_)));
    }

    #[test]
    fn the_same_attempt_gets_the_same_successor_for_a_while() {
        let rotated = rotated_at(5, attempt("a"));
        assert!(matches!(decide(&rotated, 604, attempt("a")), Refresh::Repeat(..)));
        assert!(matches!(decide(&rotated, 605, attempt("a")), Refresh::RepeatIfUnused(..)));
        assert!(matches!(decide(&rotated, 605, attempt("b")), Refresh::Reused(_)));
    }

    #[test]
    fn a_pair_is_unused_until_one_of_it_was_used() {
        let rotated = rotated_at(5, attempt("a"));
        let rotation = rotated.rotation.as_deref().expect("it is rotated");
        let access = Session { used_at: rotation.at, ..refresh_token() };
        let used =
            Session { used_at: rotation.at.after(Duration::from_secs(60)), ..access.clone() };
        let refresh = refresh_token();
        assert!(is_unused(rotation, Some(&access), Some(&refresh)));
        assert!(is_unused(rotation, None, Some(&refresh)), "it has expired meanwhile");
        assert!(!is_unused(rotation, Some(&used), Some(&refresh)));
        assert!(!is_unused(rotation, Some(&access), Some(&rotated)));
        assert!(!is_unused(rotation, Some(&access), None));
    }

    #[test]
    fn an_attempt_that_did_not_name_itself_is_never_the_same() {
        assert!(matches!(decide(&rotated_at(5, None), 100, None), Refresh::Reused(_)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_thief_of_anybody() {
        let rotated = rotated_at(500, attempt("a"));
        assert!(matches!(decide(&rotated, 5, attempt("b")), Refresh::Repeat(..)));
    }

    #[test]
    fn a_token_is_due_from_its_age_on() {
        let [lifetime, after] =
            [3600, 600].map(Lifetime::from_secs).map(|of| of.expect("within bounds"));
        let is_due = |seconds| {
            let now = SIGN_IN.after(Duration::from_secs(seconds));
            is_due(&refresh_token(), now, lifetime, after)
        };
        assert!(!is_due(599));
        assert!(is_due(600));
    }

    #[test]
    fn a_rotated_access_token_lives_until_its_successor_is_used() {
        let rotated = rotated_at(0, None);
        let rotation = rotated.rotation.as_deref().expect("it is rotated");
        let unused = refresh_token().sibling(Kind::Access, SIGN_IN.after(Duration::from_secs(99)));
        let used = Session { used_at: SIGN_IN, ..unused.clone() };
        let at = |seconds| SIGN_IN.after(Duration::from_secs(seconds));
        assert!(!is_superseded(rotation, Some(&unused), at(3000)));
        assert!(!is_superseded(rotation, Some(&used), at(59)));
        assert!(is_superseded(rotation, Some(&used), at(60)));
        assert!(is_superseded(rotation, None, at(60)));
    }

    fn decide(row: &Session, seconds: u64, attempt: Option<Attempt>) -> Refresh {
        let now = SIGN_IN.after(Duration::from_secs(seconds));
        refresh(Some(row.clone()), now, attempt, &POLICY)
    }

    fn attempt(letter: &str) -> Option<Attempt> {
        Attempt::parse(&letter.repeat(16))
    }

    fn rotated_at(seconds: u64, attempt: Option<Attempt>) -> Session {
        let at = SIGN_IN.after(Duration::from_secs(seconds));
        let successor = Sealed::from([0; 32]);
        let rotation = Rotation { at, attempt, successor };
        Session { rotation: Some(rotation.into()), ..refresh_token() }
    }

    fn refresh_token() -> Session {
        let lifetime = Lifetime::from_secs(3600).expect("it is within bounds");
        let id = SessionId::from([1; 16]);
        let access = Session::begin(id, "ada", Device::default(), SIGN_IN, lifetime);
        access.sibling(Kind::Refresh, access.expires_at)
    }
}
