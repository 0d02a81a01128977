//! What takes a token's place: the secret of its successors, sealed for whoever holds it.
//!
//! Rule: what is stored of a successor opens with the predecessor only. A store that leaks gives
//! away no token.

use crate::hex::hex_type;
use crate::{Token, UnixMillis};

/// The secret that a pair of tokens follows from.
pub struct Seed([u8; 32]);

impl Seed {
    /// Of bytes that the caller took from the system's secure random source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The access token of the pair.
    pub fn access(&self) -> Token {
        Token::derive("access", &self.0)
    }

    /// The refresh token of the pair.
    pub fn refresh(&self) -> Token {
        Token::derive("refresh", &self.0)
    }

    /// Makes it readable for nobody but who holds `predecessor`. A key is used once: a token has
    /// one successor.
    pub fn seal(&self, predecessor: &Token) -> Sealed {
        Sealed(xor(self.0, predecessor.bind("successor", &[])))
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A [`Seed`] that only its predecessor opens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sealed([u8; 32]);
hex_type!(Sealed, 32);

impl Sealed {
    /// The seed, where `predecessor` is the token it was sealed for.
    pub fn open(&self, predecessor: &Token) -> Seed {
        Seed(xor(self.0, predecessor.bind("successor", &[])))
    }
}

fn xor(mut one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    for (byte, other) in one.iter_mut().zip(other) {
        *byte ^= other;
    }
    one
}

/// Which attempt a client made, by an id of its own choice that it keeps before it sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attempt([u8; 32]);
hex_type!(Attempt, 32);

impl Attempt {
    /// Accepts 16 to 64 of `A-Z a-z 0-9 _ -`: less could be guessed, more is no id.
    pub fn parse(text: &str) -> Option<Self> {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (16..=64).contains(&text.len()) && text.bytes().all(usual);
        fits.then(|| Self(Token::derive("attempt", text.as_bytes()).bind("attempt", &[])))
    }
}

/// What became of a token that was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub at: UnixMillis,
    /// By which attempt, if it named itself.
    pub attempt: Option<Attempt>,
    /// What the successors follow from.
    pub successor: Sealed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_successor_opens_with_its_predecessor_only() {
        let [old, other] = [1, 2].map(|seed| Token::from_random([seed; 32]));
        let seed = Seed::from_random([9; 32]);
        let sealed = seed.seal(&old);
        assert_eq!(sealed.open(&old).access().hash(), seed.access().hash());
        assert_ne!(sealed.open(&other).access().hash(), seed.access().hash());
        assert_ne!(seed.access().hash(), seed.refresh().hash());
    }

    #[test]
    fn an_attempt_id_is_16_to_64_of_the_usual_characters() {
        let long = "x".repeat(65);
        for text in ["", "short", "with space in it!", &long, "ümlaut-ümlaut-ümlaut"] {
            assert!(Attempt::parse(text).is_none(), "{text}");
        }
        assert!(Attempt::parse("0123456789abcdef").is_some());
        assert!(Attempt::parse(&"A-_z".repeat(16)).is_some());
    }
}
