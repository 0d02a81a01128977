//! Tokens, their hashes, and the text that carries them.
//!
//! Rule: [`Token`] shows itself only through [`Token::expose`]; it has no `Display`, no
//! `PartialEq`, and a `Debug` that says nothing. Comparing happens by looking up the [`TokenHash`]:
//! whoever guesses cannot steer the hash of a guess towards a stored one, so the time that a lookup
//! takes tells nothing of a token.
//!
//! It deliberately does not know sessions, users, time, or how a signature is checked.

use alloc::string::String;
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::hex::hex_type;

/// 256 bits cannot be guessed, so neither a slow hash nor a salt is needed for what is stored.
const TOKEN_BYTES: usize = 32;
const TEXT_LENGTH: usize = 43;

/// A signed token of ours has some 300 characters. More is no token but work for the parser.
const MAX_SIGNED_LENGTH: usize = 2048;

/// The secret of a bearer token: sent as it is, or as the `jti` of a signed one.
#[derive(Clone)]
pub struct Token([u8; TOKEN_BYTES]);

impl Token {
    /// Makes a token of bytes that the caller took from the system's secure random source.
    pub fn from_random(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(bytes)
    }

    /// Makes one that follows from a secret, and the secret from it not.
    pub(crate) fn derive(purpose: &str, secret: &[u8]) -> Self {
        Self(digest(purpose, secret, &[]))
    }

    /// The text that its owner is given: base64url without padding. For nobody else, and for no
    /// log.
    pub fn expose(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }

    /// What is stored of an opaque token and looked up.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }

    /// What is stored of a token that was sent signed. Another hash than [`Token::hash`]: the `jti`
    /// alone, without a signature, is no token.
    pub fn signed_hash(&self) -> TokenHash {
        TokenHash(digest("signed", &self.0, &[]))
    }

    /// A hash of this token with something else, for what only its owner can compute.
    pub(crate) fn bind(&self, purpose: &str, to: &[u8]) -> [u8; 32] {
        digest(purpose, &self.0, to)
    }

    /// Reads the one spelling that [`Token::expose`] writes. Two texts are never the same token.
    pub fn parse(text: &[u8]) -> Option<Self> {
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

/// The length goes in first, so that no two pairs of purpose and secret are the same bytes.
fn digest(purpose: &str, secret: &[u8], more: &[u8]) -> [u8; 32] {
    let length = u8::try_from(purpose.len()).expect("the purposes are words of ours");
    let hash = Sha256::new_with_prefix([length]).chain_update(purpose);
    hash.chain_update(secret).chain_update(more).finalize().into()
}

/// What an `Authorization` header or a cookie presents.
pub enum Presented<'a> {
    /// No header, or a scheme that is not Bearer: nobody tried to authenticate (RFC 6750 section
    /// 3.1).
    Nothing,
    /// Nothing that we could have handed out.
    Malformed,
    /// An opaque token of the right form. Whether it is known is for the store to say.
    Opaque(Token),
    /// The form of a signed token (JWT, RFC 7519). Whether the signature is ours is for the keys to
    /// say.
    Signed(&'a str),
}

impl<'a> Presented<'a> {
    /// Reads the value of an `Authorization` header (RFC 6750 section 2.1), strictly but for the
    /// scheme's case (RFC 9110 section 11.1).
    pub fn from_authorization(value: &'a [u8]) -> Self {
        let end_of_scheme = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end_of_scheme);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Self::Nothing;
        }
        let start = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
        Self::from_token(&rest[start..])
    }

    /// Reads a token that nothing stands before.
    pub fn from_token(text: &'a [u8]) -> Self {
        if let Some(token) = Token::parse(text) {
            return Self::Opaque(token);
        }
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let dots = text.iter().filter(|&&byte| byte == b'.').count();
        match core::str::from_utf8(text) {
            Ok(text) if dots == 2 && text.len() <= MAX_SIGNED_LENGTH && text.bytes().all(usual) => {
                Self::Signed(text)
            }
            Ok(_) | Err(_) => Self::Malformed,
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Malformed => "Malformed",
            Self::Opaque(_) => "Opaque(..)",
            Self::Signed(_) => "Signed(..)",
        })
    }
}

/// The SHA-256 of a token: the key of its row. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub(crate) [u8; 32]);
hex_type!(TokenHash, 32);

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;
    use crate::InvalidHex;

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
        let long = format!("Bearer a.b.{}", "c".repeat(MAX_SIGNED_LENGTH));
        for value in
            ["Bearer", "Bearer ", "Bearer x", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.ü"]
                .into_iter()
                .chain([&*padded, &trailing, &two, &other_spelling, &foreign_alphabet, &long])
        {
            let presented = Presented::from_authorization(value.as_bytes());
            assert!(matches!(presented, Presented::Malformed), "{value}");
        }
    }

    #[test]
    fn another_scheme_presents_nothing() {
        for value in ["", "Basic YTpi", "Bearerx", "Token abc"] {
            let presented = Presented::from_authorization(value.as_bytes());
            assert!(matches!(presented, Presented::Nothing), "{value}");
        }
    }

    #[test]
    fn three_parts_with_dots_are_a_signed_token() {
        let presented = Presented::from_authorization(b"Bearer eyJ.eyJ.sig");
        assert!(matches!(presented, Presented::Signed("eyJ.eyJ.sig")), "{presented:?}");
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::from_random([0x41; 32]);
        let signed = Presented::Signed("secret.secret.secret");
        let shown = format!("{token:?} {:?} {signed:?}", Presented::Opaque(token.clone()));
        let hidden = [&*token.expose(), "65", "secret"];
        assert!(hidden.iter().all(|text| !shown.contains(text)), "{shown}");
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
            assert_eq!(text.parse::<TokenHash>(), Err(InvalidHex), "{text}");
        }
    }

    #[test]
    fn the_jti_of_a_signed_token_is_no_opaque_token() {
        let token = Token::from_random([7; 32]);
        assert_ne!(token.hash(), token.signed_hash());
    }

    fn hash_in(value: &str) -> Option<TokenHash> {
        match Presented::from_authorization(value.as_bytes()) {
            Presented::Opaque(token) => Some(token.hash()),
            Presented::Malformed | Presented::Nothing | Presented::Signed(_) => None,
        }
    }
}
