//! Which session an answer is about, without naming its token.

/// A random id of one token, made at sign-in: the same id after a restart is the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(pub u64);

/// One token's place in the order of sign-ins of this app in this browser.
///
/// The number orders (a sign-in and a refresh take the next one); the id tells two tabs apart
/// that took the same number at once. A sign-out keeps the generation that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// A generation as a record holds it, or nothing where the number is out of range.
    #[must_use]
    pub fn new(number: u32, token_id: TokenId) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self { number, token_id })
    }
}
