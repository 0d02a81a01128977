//! How often one token may be used, where the operator set a limit.
//!
//! Rule: whoever is over it is told to wait (429), and never that the token is wrong.
//!
//! Each worker counts by itself: a limit that had to be exact would cost a write for each request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use session_keeper_tokens::{Attempts, Limit, TokenHash, UnixMillis};

use crate::error::ApiError;

/// So many tokens are counted before those whose window is over are forgotten for the first time.
const FORGOTTEN_AT: usize = 1024;

/// Counts the requests of each token.
#[derive(Debug)]
pub(crate) struct TokenLimit {
    limit: Option<Limit>,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    of: HashMap<TokenHash, Attempts>,
    /// Idempotency what was left the last time, so that looking through all costs little for each.
    forgotten_at: usize,
}

impl TokenLimit {
    pub(crate) fn new(limit: Option<Limit>) -> Self {
        let counts = Counts { of: HashMap::new(), forgotten_at: FORGOTTEN_AT };
        Self { limit, counts: Mutex::new(counts) }
    }

    /// Counts one request with a token that is valid: what is none could be any number of.
    pub(crate) fn count(&self, token: TokenHash, now: UnixMillis) -> Result<(), ApiError> {
        let Some(limit) = self.limit else { return Ok(()) };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { of, forgotten_at } = &mut *counts;
        if of.len() >= *forgotten_at {
            of.retain(|_, attempts| !attempts.is_over(now, limit.window));
            *forgotten_at = FORGOTTEN_AT.max(2 * of.len());
        }
        let counted = Attempts::add(of.get(&token).copied(), now, limit.window);
        of.insert(token, counted);
        match limit.wait(&counted, now) {
            Some(wait) => Err(ApiError::RateLimited(wait)),
            None => Ok(()),
        }
    }
}
