//! What a `WWW-Authenticate` header says, as far as it matters for a session.
//!
//! The header lists challenges of several schemes (RFC 9110 section 11.6.1). Only its meaning
//! for a token session is kept; realms and parameters are not.

/// The meaning of the challenges of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Challenge {
    /// No header, or none that a page may read: cross-origin it must be exposed.
    #[default]
    Unreadable,
    /// A scheme for tokens without an `error`: RFC 6750 section 3.1 means "I saw no token" by it,
    /// and FastAPI answers so to every bad one.
    Bare,
    /// `error="invalid_token"` (RFC 6750 section 3.1).
    InvalidToken,
    /// Only schemes that ask a person for a password (Basic, Digest): a wall in front of
    /// everything, or an API that also takes passwords.
    Password,
    /// Only schemes of networks (Negotiate, NTLM): not our server's.
    Foreign,
    /// An error that a token survives: `use_dpop_nonce` (RFC 9449 section 8),
    /// `insufficient_user_authentication` (RFC 9470), `insufficient_scope` (RFC 6750).
    Survivable,
}

const PASSWORD: [&str; 2] = ["basic", "digest"];
const FOREIGN: [&str; 2] = ["negotiate", "ntlm"];
const SURVIVABLE: [&str; 3] =
    ["use_dpop_nonce", "insufficient_user_authentication", "insufficient_scope"];

impl Challenge {
    /// Reads the header's value. What cannot be read is no challenge.
    #[must_use]
    pub fn read(header: &str) -> Self {
        let mut found = Self::Unreadable;
        let mut rest = header.as_bytes();
        while let Some((word, value)) = next_part(&mut rest) {
            let meaning = match value {
                None if is_one_of(word, &PASSWORD) => Self::Password,
                None if is_one_of(word, &FOREIGN) => Self::Foreign,
                None => Self::Bare,
                Some(_) if !is_one_of(word, &["error"]) => continue,
                Some(error) if is_one_of(error, &SURVIVABLE) => Self::Survivable,
                Some(error) if is_one_of(error, &["invalid_token"]) => Self::InvalidToken,
                Some(_) => continue,
            };
            found = found.or(meaning);
        }
        found
    }

    /// Of two challenges in one header the one that tells more about the token.
    const fn or(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    const fn weight(self) -> u8 {
        match self {
            Self::Unreadable => 0,
            Self::Foreign => 1,
            Self::Password => 2,
            Self::Bare => 3,
            Self::InvalidToken => 4,
            Self::Survivable => 5,
        }
    }
}

fn is_one_of(word: &[u8], list: &[&str]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// The next word, with its value if it is a parameter. A scheme is a word that no `=` follows;
/// commas separate parameters and challenges alike. By bytes: the searchers of `str` would be
/// two kilobytes of the package.
fn next_part<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    // A stray `=` (token68 padding) is no word and must not stop the walk.
    cut(rest, |byte| !matches!(byte, b' ' | b',' | b'\t' | b'='));
    let word = cut(rest, |byte| matches!(byte, b' ' | b',' | b'\t' | b'='));
    if word.is_empty() {
        return None;
    }
    let before = *rest;
    cut(rest, |byte| byte != b' ' && byte != b'\t');
    if rest.first() != Some(&b'=') {
        *rest = before;
        return Some((word, None));
    }
    cut(rest, |byte| !matches!(byte, b' ' | b'\t' | b'='));
    if rest.first() != Some(&b'"') {
        return Some((word, Some(cut(rest, |byte| matches!(byte, b' ' | b',' | b'\t')))));
    }
    let mut quotes = 0;
    let mut escaped = false;
    let quoted = cut(rest, |byte| {
        let ends = quotes == 2;
        quotes += usize::from(byte == b'"' && !escaped);
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some((word, quoted.get(1..quoted.len().saturating_sub(1))))
}

/// Takes off what comes before the first byte that ends it.
fn cut<'a>(rest: &mut &'a [u8], mut ends: impl FnMut(u8) -> bool) -> &'a [u8] {
    let at = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
    let (head, tail) = rest.split_at(at);
    *rest = tail;
    head
}

#[cfg(test)]
mod tests {
    use super::Challenge::{self, Bare, Foreign, InvalidToken, Password, Survivable, Unreadable};

    #[test]
    fn headers_of_real_servers_are_understood() {
        for (header, meaning) in [
            ("", Unreadable),
            ("Bearer", Bare),
            (r#"Bearer realm="api""#, Bare),
            (r#"Bearer error="invalid_token""#, InvalidToken),
            (r#"Bearer realm="a \"b\", error=\"x\"", error="invalid_token""#, InvalidToken),
            ("bearer error=invalid_token, error_description=\"expired\"", InvalidToken),
            (r#"Bearer error = "invalid_token""#, InvalidToken),
            (r#"Token"#, Bare),
            (r#"Basic realm="proxy, error=\"invalid_token\"""#, Password),
            ("Negotiate, NTLM", Foreign),
            (r#"Negotiate, Basic realm="x""#, Password),
            (r#"Digest realm="x", nonce="y""#, Password),
            ("Negotiate YII=", Foreign),
            (r#"Negotiate, Bearer error="invalid_token""#, InvalidToken),
            (r#"Basic realm="x", Bearer realm="y""#, Bare),
            (r#"DPoP error="use_dpop_nonce", algs="ES256""#, Survivable),
            (r#"Bearer error="insufficient_user_authentication", max_age="5""#, Survivable),
            (r#"Bearer error="insufficient_scope""#, Survivable),
            (r#"Bearer error="temporarily_unavailable""#, Bare),
        ] {
            assert_eq!(Challenge::read(header), meaning, "{header}");
        }
    }

    #[test]
    fn garbage_ends_and_is_no_verdict() {
        for header in ["=", "==,=", "\"", "Bearer error=\"", ",,,", "= = =", "error=", "a=\"\\"] {
            assert_ne!(Challenge::read(header), InvalidToken, "{header}");
        }
    }
}
