//! The token that another server handed out to this one.
//!
//! Rule: it shows itself to that server and to its own file only.

use std::fmt;
use std::time::Duration;

use session_keeper_tokens::UnixMillis;

/// Where the answer does not say how long a token is good for (RFC 6749 section 5.1 lets it).
pub(super) const ASSUMED_LIFE: Duration = Duration::from_secs(60 * 60);

/// A token is renewed a twelfth of its life before its end, and an hour at the most: one of 12
/// hours is used for 11.
const MARGIN_PART: u32 = 12;
const LONGEST_MARGIN: Duration = Duration::from_secs(60 * 60);

/// An access token for the API behind this server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UpstreamToken {
    text: String,
    pub(super) obtained_at: UnixMillis,
    pub(super) expires_at: UnixMillis,
}

impl UpstreamToken {
    pub(super) fn new(text: String, obtained_at: UnixMillis, expires_at: UnixMillis) -> Self {
        Self { text, obtained_at, expires_at }
    }

    /// For the `Authorization` header and the file; for no log.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// Whether it is good at `now`.
    pub(super) fn is_valid(&self, now: UnixMillis) -> bool {
        now < self.expires_at
    }

    /// Whether it is good for a while yet.
    pub(super) fn is_fresh(&self, now: UnixMillis) -> bool {
        let life = self.expires_at.since(self.obtained_at);
        let margin = (life / MARGIN_PART).min(LONGEST_MARGIN);
        now < self.expires_at.before(margin)
    }

    pub(super) fn expires_in(&self, now: UnixMillis) -> u64 {
        self.expires_at.since(now).as_secs()
    }
}

impl fmt::Debug for UpstreamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_twelve_hours_is_used_for_eleven() {
        let start = UnixMillis(1_900_000_000_000);
        let of = |seconds: u64| {
            let expires_at = start.after(Duration::from_secs(seconds));
            UpstreamToken::new("s3cret".to_owned(), start, expires_at)
        };
        let at = |seconds| start.after(Duration::from_secs(seconds));
        let token = of(12 * 3600);
        assert!(token.is_fresh(at(11 * 3600 - 1)) && !token.is_fresh(at(11 * 3600)));
        assert!(token.is_valid(at(12 * 3600 - 1)) && !token.is_valid(at(12 * 3600)));
        let short = of(120);
        assert!(short.is_fresh(at(109)) && !short.is_fresh(at(110)));
        let long = of(100 * 3600);
        assert!(long.is_fresh(at(99 * 3600 - 1)) && !long.is_fresh(at(99 * 3600)));
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
