//! Which session an answer is about, without naming its token.

/// A random id of one token, made at sign-in: the same id after a restart is the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TokenId(pub u64);

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
        Self { number, token_id }
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

    /// A generation as a record holds it, or nothing where the number is out of range.
    #[must_use]
    pub fn new(number: u32, token_id: TokenId) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self { number, token_id })
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
}
