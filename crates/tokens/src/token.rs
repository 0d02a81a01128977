//! Opaque tokens, their hashes, and the header value that carries them.
//!
//! Rule: [`Token`] shows itself only through [`Token::expose`]; it has no `Display`, no
//! `PartialEq`, and a `Debug` that says nothing. Comparing happens by looking up the [`TokenHash`]:
//! whoever guesses cannot steer the hash of a guess towards a stored one, so the time that a lookup
//! takes tells nothing of a token.
//!
//! It deliberately does not know sessions, users or time.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

/// 256 bits cannot be guessed, so neither a slow hash nor a salt is needed for what is stored.
const TOKEN_BYTES: usize = 32;
const TEXT_LENGTH: usize = 43;

/// An opaque bearer token.
#[derive(Clone)]
pub struct Token([u8; TOKEN_BYTES]);

impl Token {
    /// Makes a token of bytes that the caller took from the system's secure random source.
    pub fn from_random(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(bytes)
    }

    /// The text that its owner is given: base64url without padding. For nobody else, and for no
    /// log.
    pub fn expose(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }

    /// What is stored of it and looked up.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }

    /// Reads the one spelling that [`Token::expose`] writes. Two texts are never the same token.
    fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != TEXT_LENGTH {
            return None;
        }
        let mut bytes = [0; TOKEN_BYTES];
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        (decoded.len() == TOKEN_BYTES).then_some(Self(bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What an `Authorization` header presents.
#[derive(Debug)]
pub enum Presented {
    /// No header, or a scheme that is not Bearer: nobody tried to authenticate (RFC 6750 section
    /// 3.1).
    Nothing,
    /// Bearer, but nothing that [`Token::expose`] could have written.
    Malformed,
    /// A token of the right form. Whether it is known is for the store to say.
    Token(Token),
}

/// Reads the value of an `Authorization` header (RFC 6750 section 2.1), strictly but for the
/// scheme's case (RFC 9110 section 11.1).
pub fn read_authorization(value: &[u8]) -> Presented {
    let end_of_scheme = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end_of_scheme);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Presented::Nothing;
    }
    let start = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
    Token::parse(&rest[start..]).map_or(Presented::Malformed, Presented::Token)
}

/// The SHA-256 of a token: the key of its row. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "TokenHash({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

impl FromStr for TokenHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(InvalidHash);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// The text is no token hash: the file it stands in is corrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidHash;

impl fmt::Display for InvalidHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token hash is 64 lower-case hexadecimal digits")
    }
}

impl core::error::Error for InvalidHash {}

fn nibble(digit: u8) -> Result<u8, InvalidHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidHash),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_token_comes_back_from_the_header_that_carries_it() {
        let token = Token::from_random([7; 32]);
        let value = format!("Bearer {}", token.expose());
        assert_eq!(hash_in(&value), Some(token.hash()));
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_before_any_number_of_spaces() {
        let token = Token::from_random([7; 32]);
        assert_eq!(hash_in(&format!("bEARER   {}", token.expose())), Some(token.hash()));
    }

    #[test]
    fn what_no_token_could_be_written_as_is_malformed() {
        let text = Token::from_random([0xff; 32]).expose();
        let padded = format!("Bearer {text}=");
        let trailing = format!("Bearer {text} ");
        let two = format!("Bearer {text}, Bearer {text}");
        // The last digit holds two bits that no token uses: setting them must not make a second
        // spelling.
        let other_spelling = format!("Bearer {}9", &text[..TEXT_LENGTH - 1]);
        let foreign_alphabet = format!("Bearer {}", text.replace('_', "/"));
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer x",
            &padded,
            &trailing,
            &two,
            &other_spelling,
            &foreign_alphabet,
        ] {
            assert!(
                matches!(read_authorization(value.as_bytes()), Presented::Malformed),
                "{value}"
            );
        }
    }

    #[test]
    fn another_scheme_presents_nothing() {
        for value in ["", "Basic YTpi", "Bearerx", "Token abc"] {
            assert!(matches!(read_authorization(value.as_bytes()), Presented::Nothing), "{value}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::from_random([0x41; 32]);
        let shown = format!("{token:?} {:?}", Presented::Token(token.clone()));
        assert!(!shown.contains(&token.expose()) && !shown.contains("65"), "{shown}");
    }

    #[test]
    fn a_hash_is_written_and_read_alike_and_is_sha_256() {
        let hash = Token::from_random([0; 32]).hash();
        let text = hash.to_string();
        // SHA-256 of 32 zero bytes.
        assert_eq!(text, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
        assert_eq!(text.parse(), Ok(hash));
    }

    #[test]
    fn a_text_that_is_no_hash_is_refused() {
        let hash = Token::from_random([0xab; 32]).hash().to_string();
        let upper = hash.to_uppercase();
        let long = format!("{hash}0");
        for text in ["", "zz", &hash[1..], &upper, &long] {
            assert_eq!(text.parse::<TokenHash>(), Err(InvalidHash), "{text}");
        }
    }

    fn hash_in(value: &str) -> Option<TokenHash> {
        match read_authorization(value.as_bytes()) {
            Presented::Token(token) => Some(token.hash()),
            Presented::Malformed | Presented::Nothing => None,
        }
    }
}
