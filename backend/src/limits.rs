//! How often one token may be used, where the operator set a limit.
//!
//! Rule: whoever is over it is told to wait (429), and never that the token is wrong.
//!
//! Each worker counts by itself: a limit that had to be exact would cost a write for each request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use session_keeper_tokens::{Attempts, Limit, TokenHash, UnixMillis};

use crate::error::ApiError;

/// So many tokens are counted before those whose window is over are forgotten.
const FORGOTTEN_AT: usize = 10_000;

/// Counts the requests of each token.
#[derive(Debug)]
pub(crate) struct TokenLimit {
    limit: Option<Limit>,
    counts: Mutex<HashMap<TokenHash, Attempts>>,
}

impl TokenLimit {
    pub(crate) fn new(limit: Option<Limit>) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    /// Counts one request.
    pub(crate) fn count(&self, token: TokenHash, now: UnixMillis) -> Result<(), ApiError> {
        let Some(limit) = self.limit else { return Ok(()) };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= FORGOTTEN_AT {
            counts.retain(|_, attempts| !attempts.is_over(now, limit.window));
        }
        let counted = Attempts::add(counts.get(&token).copied(), now, limit.window);
        counts.insert(token, counted);
        match limit.wait(&counted, now) {
            Some(wait) => Err(ApiError::RateLimited(wait)),
            None => Ok(()),
        }
    }
}
