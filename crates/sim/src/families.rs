//! The tokens of a server: families of pairs, each pair the successor of another.
//!
//! A sign-in begins a family; a refresh hands out a pair of it. Where refresh tokens rotate, one
//! that comes back with another attempt id was stolen, for all that the server knows, and the whole
//! family ends (RFC 9700 section 4.14.2).

use std::collections::BTreeMap;

use session_keeper_core::AttemptId;

/// How long the same attempt is answered with the same successor, used or not.
const REPEAT: u64 = 600_000;

/// An access token with its refresh token, as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(u64);

/// One sign-in and all that came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Family(usize);

/// What a server does with a refresh token that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It stays good.
    None,
    /// It is used up; the same attempt gets the same successor again.
    Remembers,
    /// It is used up, and whoever presents it again is a thief.
    Strict,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    family: Family,
    /// In true time.
    expires_at: u64,
    successor: Option<Successor>,
    was_used: bool,
}

#[derive(Clone, Copy, Debug)]
struct Successor {
    token: Token,
    attempt: AttemptId,
    since: u64,
}

#[derive(Debug)]
pub(crate) struct Families {
    rotation: Rotation,
    /// A successor that is handed out again gets a new expiry.
    pub(crate) renews_repeats: bool,
    /// Whether each is alive.
    families: Vec<bool>,
    pairs: BTreeMap<Token, Pair>,
    /// Families that a refresh token ended which came back.
    pub(crate) reuses: u64,
}

impl Families {
    pub(crate) fn new(rotation: Rotation) -> Self {
        let (families, pairs) = (Vec::new(), BTreeMap::new());
        Self { rotation, renews_repeats: false, families, pairs, reuses: 0 }
    }

    /// A sign-in.
    pub(crate) fn begin(&mut self, expires_at: u64) -> Token {
        self.families.push(true);
        self.hand_out(Family(self.families.len() - 1), expires_at)
    }

    fn hand_out(&mut self, family: Family, expires_at: u64) -> Token {
        let token = Token(self.pairs.len() as u64 + 1);
        self.pairs.insert(token, Pair { family, expires_at, successor: None, was_used: false });
        token
    }

    pub(crate) fn family(&self, token: Token) -> Option<Family> {
        self.pairs.get(&token).map(|pair| pair.family)
    }

    /// Whether the session that the token belongs to is still there.
    pub(crate) fn is_alive(&self, token: Token) -> bool {
        self.family(token).is_some_and(|Family(at)| self.families[at])
    }

    /// Whether the token is good as an access token.
    pub(crate) fn accepts(&self, token: Token, now: u64) -> bool {
        self.is_alive(token) && self.expires_at(token).is_some_and(|at| now < at)
    }

    pub(crate) fn expires_at(&self, token: Token) -> Option<u64> {
        self.pairs.get(&token).map(|pair| pair.expires_at)
    }

    pub(crate) fn used(&mut self, token: Token) {
        if let Some(pair) = self.pairs.get_mut(&token) {
            pair.was_used = true;
        }
    }

    /// Whether it has a successor.
    pub(crate) fn is_rotated(&self, token: Token) -> bool {
        self.pairs.get(&token).is_some_and(|pair| pair.successor.is_some())
    }

    /// Ends the session.
    pub(crate) fn end(&mut self, token: Token) {
        if let Some(Family(at)) = self.family(token) {
            self.families[at] = false;
        }
    }

    pub(crate) fn end_all(&mut self) {
        self.families.fill(false);
    }

    /// A refresh. Nothing where the server says no for good.
    pub(crate) fn refresh(
        &mut self,
        token: Token,
        attempt: AttemptId,
        now: u64,
        life: u64,
    ) -> Option<Token> {
        let pair = *self.pairs.get(&token).filter(|_| self.is_alive(token))?;
        self.used(token);
        let Some(before) = pair.successor else {
            let successor = self.hand_out(pair.family, now + life);
            if self.rotation != Rotation::None
                && let Some(pair) = self.pairs.get_mut(&token)
            {
                pair.successor = Some(Successor { token: successor, attempt, since: now });
            }
            return Some(successor);
        };
        let is_used = self.pairs.get(&before.token).is_some_and(|pair| pair.was_used);
        let is_repeat = self.rotation == Rotation::Remembers && before.attempt == attempt;
        if is_repeat && (now < before.since + REPEAT || !is_used) {
            if let Some(pair) = self.pairs.get_mut(&before.token).filter(|_| self.renews_repeats) {
                pair.expires_at = now + life;
            }
            return Some(before.token);
        }
        self.reuses += 1;
        self.end(token);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: AttemptId = AttemptId(1);
    const OTHER: AttemptId = AttemptId(2);

    fn rotated(rotation: Rotation) -> (Families, Token, Token) {
        let mut families = Families::new(rotation);
        let token = families.begin(100);
        let successor = families.refresh(token, ONE, 90, 100).expect("it is alive");
        (families, token, successor)
    }

    #[test]
    fn a_refresh_token_that_comes_back_with_another_attempt_ends_its_family() {
        for rotation in [Rotation::Remembers, Rotation::Strict] {
            let (mut families, token, successor) = rotated(rotation);
            let other = families.begin(100);
            assert!(families.accepts(successor, 189) && !families.accepts(successor, 190));
            assert_eq!(families.refresh(token, OTHER, 95, 100), None);
            assert!(!families.is_alive(successor) && families.is_alive(other));
            assert_eq!(families.reuses, 1);
        }
    }

    #[test]
    fn the_same_attempt_gets_the_same_successor_for_a_while_and_as_long_as_it_is_unused() {
        let (mut families, token, successor) = rotated(Rotation::Remembers);
        assert_eq!(families.refresh(token, ONE, REPEAT + 90, 100), Some(successor));
        families.used(successor);
        assert_eq!(families.refresh(token, ONE, REPEAT + 89, 100), Some(successor));
        assert_eq!(families.refresh(token, ONE, REPEAT + 90, 100), None);
    }

    #[test]
    fn a_server_that_remembers_no_attempt_takes_a_repeat_for_a_theft() {
        let (mut families, token, successor) = rotated(Rotation::Strict);
        assert_eq!(families.refresh(token, ONE, 91, 100), None);
        assert!(!families.is_alive(successor));
    }

    #[test]
    fn a_refresh_token_that_does_not_rotate_stays_good() {
        let (mut families, token, successor) = rotated(Rotation::None);
        assert!(families.refresh(token, OTHER, 95, 100).is_some_and(|next| next != successor));
        assert!(families.is_alive(token));
    }
}
