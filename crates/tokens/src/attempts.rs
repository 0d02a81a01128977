//! How often something was tried of late, and whether it may be tried again.
//!
//! Rule: a window begins with the first try and is over after its length; whoever has used it up is
//! told how long that is. A limit is no verdict: it never says that a token or a password is wrong.
//!
//! It deliberately does not know what is tried, nor where the counts are kept.

use core::time::Duration;

use crate::{Token, TokenHash, UnixMillis};

/// Tries since the window began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// When the window began.
    pub since: UnixMillis,
    /// How many there were in it.
    pub count: u32,
}

impl Attempts {
    /// What there is after one more at `now`, where windows are `window` long.
    #[must_use]
    pub fn add(before: Option<Self>, now: UnixMillis, window: Duration) -> Self {
        match before.filter(|before| !before.is_over(now, window)) {
            Some(Self { since, count }) => Self { since, count: count.saturating_add(1) },
            None => Self { since: now, count: 1 },
        }
    }

    /// Whether the window has ended. One that begins in the future is a clock that was set back.
    pub fn is_over(&self, now: UnixMillis, window: Duration) -> bool {
        self.since > now || now.since(self.since) >= window
    }
}

/// What attempts are counted under: a digest, so that no store lists who tried. `what` keeps
/// accounts and addresses apart.
pub fn attempt_key(what: &str, name: &str) -> TokenHash {
    TokenHash::from(Token::derive(what, name.as_bytes()).bind("attempts", &[]))
}

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub most: u32,
    /// In how long.
    pub window: Duration,
}

impl Limit {
    /// How long to wait, where `attempts` (this one counted) are too many.
    #[must_use]
    pub fn wait(&self, attempts: &Attempts, now: UnixMillis) -> Option<Duration> {
        let left = self.window.saturating_sub(now.since(attempts.since));
        (attempts.count > self.most).then(|| left.max(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { most: 2, window: Duration::from_secs(60) };

    #[test]
    fn what_is_over_the_limit_waits_until_the_window_ends() {
        let mut attempts = None;
        let waits = [0, 10, 20, 59, 60].map(|second| {
            let now = UnixMillis(second * 1000);
            let counted = Attempts::add(attempts, now, LIMIT.window);
            attempts = Some(counted);
            LIMIT.wait(&counted, now).map(|wait| wait.as_secs())
        });
        assert_eq!(waits, [None, None, Some(40), Some(1), None]);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let later = Attempts { since: UnixMillis(1_000_000), count: 99 };
        let counted = Attempts::add(Some(later), UnixMillis(5), LIMIT.window);
        assert_eq!(counted, Attempts { since: UnixMillis(5), count: 1 });
    }

    #[test]
    fn a_count_at_its_end_stays_there() {
        let full = Attempts { since: UnixMillis(0), count: u32::MAX };
        assert_eq!(Attempts::add(Some(full), UnixMillis(1), LIMIT.window).count, u32::MAX);
    }
}
