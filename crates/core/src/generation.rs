//! Which session an answer is about, without naming its token.

/// A random id of one token, made at sign-in: the same id after a restart is the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TokenId(pub u64);

/// A random id of one session: it is the same from the sign-in to the sign-out, whatever tokens a
/// refresh puts in the place of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SessionId(pub u64);

/// More sign-ins than one browser makes while a store hangs.
const UNREAD: u32 = 1 << 16;

/// One token's place in the order of sign-ins of this app in this browser.
///
/// The number orders (a sign-in and a refresh take the next one); the id tells two tabs apart
/// that took the same number at once. A sign-out keeps the generation that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Generation {
    /// From 1 to [`Generation::MAX`].
    pub number: u32,
    /// The token's id.
    pub token_id: TokenId,
    /// The session that it belongs to.
    #[cfg_attr(feature = "serde", serde(default))]
    pub session_id: SessionId,
}

impl Generation {
    /// The largest number of a record that is believed: whatever leaps past it is corrupt, or a
    /// forged record would leave no number for the next sign-in.
    pub const MAX: u32 = 1 << 31;

    /// The one that follows on the newest that is known. At the end of the numbers it shares the
    /// last one, and the token's id tells the two apart: a forged record must not leave a user
    /// without a next sign-in.
    pub(crate) fn after(newest: Option<Self>, token_id: TokenId) -> Self {
        let number = newest.map_or(0, |newest| newest.number).saturating_add(1).min(Self::MAX);
        Self { number, token_id, session_id: SessionId(token_id.0) }
    }

    /// The same token number and id, of a session that began earlier.
    #[must_use]
    pub const fn of_session(self, session_id: SessionId) -> Self {
        Self { session_id, ..self }
    }

    /// Whether a record of this generation may take the place of one that holds `stored`.
    ///
    /// A sign-out ends its whole session: what a refresh brought meanwhile does not undo it. Of two
    /// sessions the later one stands, whoever writes last, so that two tabs which do not know of
    /// each other agree in the end.
    #[must_use]
    pub fn may_replace(self, is_sign_out: bool, stored: Self, stored_is_sign_out: bool) -> bool {
        if self.session_id == stored.session_id {
            return is_sign_out || (!stored_is_sign_out && self >= stored);
        }
        self >= stored
    }

    /// The same where the store has not told what it holds: surely past whatever it is, so that
    /// the record that comes late never stands above this one.
    pub(crate) fn after_unread(newest: Option<Self>, token_id: TokenId) -> Self {
        let next = Self::after(newest, token_id);
        let number = next.number.saturating_add(UNREAD).min(Self::MAX);
        Self { number, ..next }
    }

    pub(crate) const fn is_last(self) -> bool {
        self.number >= Self::MAX
    }

    /// Stands for this generation where a small number is wanted; never 0. Two tabs that took the
    /// same number at once differ in it.
    #[must_use]
    pub const fn tag(self) -> u32 {
        let id = self.token_id.0;
        let tag = self.number.wrapping_mul(0x9e37_79b9) ^ id as u32 ^ (id >> 32) as u32;
        if tag == 0 { 1 } else { tag }
    }

    /// A generation as a record holds it, or nothing where the number is out of range. Its session
    /// begins with it, unless [`Generation::of_session`] says otherwise.
    #[must_use]
    pub fn new(number: u32, token_id: TokenId) -> Option<Self> {
        let session_id = SessionId(token_id.0);
        (1..=Self::MAX).contains(&number).then_some(Self { number, token_id, session_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_after_the_last_number_can_still_be_read() {
        let last = Generation::new(Generation::MAX, TokenId(1));
        let next = Generation::after(last, TokenId(2));
        assert_eq!(Generation::new(next.number, next.token_id), Some(next));
        assert_ne!(Some(next), last);
        assert_eq!(Generation::after(None, TokenId(3)).number, 1);
    }

    #[test]
    fn a_record_takes_the_place_of_an_older_one_only() {
        let of = |number: u32, id| {
            Generation::after(Generation::new(number - 1, TokenId(0)), TokenId(id))
        };
        let (first, second) = (of(2, 7), of(3, 8));
        let refreshed = second.of_session(first.session_id);
        for (writes, is_sign_out, stored, stored_is_sign_out, may) in [
            (second, false, first, false, true),
            (first, false, second, false, false),
            (first, true, second, false, false),
            (second, false, first, true, true),
            (refreshed, false, first, false, true),
            (first, true, refreshed, false, true),
            (refreshed, false, first, true, false),
            (first, false, refreshed, false, false),
            (first, false, first, true, false),
        ] {
            let found = writes.may_replace(is_sign_out, stored, stored_is_sign_out);
            assert_eq!(found, may, "{writes:?} {is_sign_out} over {stored:?} {stored_is_sign_out}");
        }
    }

    #[test]
    fn two_tabs_that_took_the_same_number_agree_on_one_of_them() {
        let (one, other) =
            (Generation::after(None, TokenId(1)), Generation::after(None, TokenId(2)));
        assert!(other.may_replace(false, one, false));
        assert!(!one.may_replace(false, other, false));
    }
}
