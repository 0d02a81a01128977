//! What a `WWW-Authenticate` header says, as far as it bears on a session.
//!
//! The header lists challenges of several schemes (RFC 9110 section 11.6.1). Only its meaning
//! for a token session is kept; realms and parameters are not.

/// The meaning of the challenges of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// No header, or none that a page may read: cross-origin it must be exposed.
    #[default]
    Unreadable,
    /// A scheme for tokens without an `error`: RFC 6750 section 3.1 means "I saw no token" by it,
    /// and FastAPI answers so to every bad one.
    Bare,
    /// `error="invalid_token"` (RFC 6750 section 3.1).
    InvalidToken,
    /// Only schemes of proxies and networks (Basic, Digest, Negotiate, NTLM): not our server's.
    Foreign,
    /// An error that a token survives: `use_dpop_nonce` (RFC 9449 section 8),
    /// `insufficient_user_authentication` (RFC 9470), `insufficient_scope` (RFC 6750).
    Survivable,
}

const FOREIGN: [&str; 4] = ["basic", "digest", "negotiate", "ntlm"];
const SURVIVABLE: [&str; 3] =
    ["use_dpop_nonce", "insufficient_user_authentication", "insufficient_scope"];

impl Challenge {
    /// Reads the header's value. What cannot be read is no challenge.
    #[must_use]
    pub fn read(header: &str) -> Self {
        let mut found = Self::Unreadable;
        for part in (Parts { rest: header }) {
            let meaning = match part {
                Part::Scheme(scheme) if is_one_of(scheme, &FOREIGN) => Self::Foreign,
                Part::Scheme(_) => Self::Bare,
                Part::Error(error) if is_one_of(error, &SURVIVABLE) => Self::Survivable,
                Part::Error(error) if error.eq_ignore_ascii_case("invalid_token") => {
                    Self::InvalidToken
                }
                Part::Error(_) => continue,
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
            Self::Bare => 2,
            Self::InvalidToken => 3,
            Self::Survivable => 4,
        }
    }
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known))
}

enum Part<'a> {
    Scheme(&'a str),
    Error(&'a str),
}

/// The schemes and `error` parameters of a header, in order. A scheme is a word that no `=`
/// follows; commas separate parameters and challenges alike.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        loop {
            let start = self.rest.trim_start_matches([' ', ',', '\t']);
            if start.is_empty() {
                return None;
            }
            let (word, after) = cut(start, |c| matches!(c, ' ' | ',' | '\t' | '='));
            // A stray `=` (token68 padding) is no word and must not stop the walk.
            if word.is_empty() {
                self.rest = start.trim_start_matches('=');
                continue;
            }
            let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
                self.rest = after;
                return Some(Part::Scheme(word));
            };
            let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
            self.rest = after;
            if word.eq_ignore_ascii_case("error") {
                return Some(Part::Error(value));
            }
        }
    }
}

fn value_of(text: &str) -> (&str, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        return cut(text, |c| matches!(c, ' ' | ',' | '\t'));
    };
    let mut escaped = false;
    let (value, rest) = cut(quoted, |c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    (value, rest.strip_prefix('"').unwrap_or(rest))
}

fn cut(text: &str, ends: impl FnMut(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::Challenge::{self, Bare, Foreign, InvalidToken, Survivable, Unreadable};

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
            (r#"Basic realm="proxy, error=\"invalid_token\"""#, Foreign),
            ("Negotiate, NTLM", Foreign),
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
