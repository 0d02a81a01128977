//! What every kind of store does, and what it is told and asked.

use std::fmt;
use std::future;
use std::panic;
use std::time::Duration;

use async_trait::async_trait;
use session_keeper_tokens::{Attempts, Rotation, Session, SessionId, TokenHash, UnixMillis};

use super::error::StoreError;

/// One kind of store.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Keeps tokens, all of them or none.
    async fn insert(&self, rows: &[Row], now: UnixMillis) -> Result<(), StoreError>;

    /// The row of a token, expired or not.
    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError>;

    /// Notes that `old` was rotated and keeps its successors, in one step. `false`: nothing was
    /// changed, because `old` is gone or another rotation came first.
    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// Notes a use. Nothing happens where there is no such row.
    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError>;

    /// Forgets tokens for good, and says how many.
    async fn remove(&self, scope: &RevokeScope) -> Result<usize, StoreError>;

    /// A user's tokens, expired or not.
    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError>;

    /// Forgets what has expired at `now`, and says how many tokens that were. A store that does it
    /// by itself has nothing to do.
    async fn clean_up(&self, now: UnixMillis) -> Result<usize, StoreError>;

    /// How many tokens there are.
    async fn count(&self) -> Result<usize, StoreError>;

    /// Counts one attempt more, and gives the count.
    async fn attempt(
        &self,
        key: AttemptKey,
        now: UnixMillis,
        window: Duration,
    ) -> Result<Attempts, StoreError>;

    /// Spawn attempts back. Nothing happens where there are none.
    async fn reset_attempts(&self, key: AttemptKey, reset: AttemptReset) -> Result<(), StoreError>;
}

/// A token and what is kept of it.
pub type Row = (TokenHash, Session);

/// What attempts are counted of: a digest, so that no store lists who tried.
pub type AttemptKey = TokenHash;

/// Which attempts are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptReset {
    /// The one that was just counted.
    One,
    /// All of them.
    All,
}

/// Whose tokens are forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeScope {
    /// Everybody's.
    All,
    /// One user's.
    User(String),
    /// One session's.
    Session {
        /// Whose it is, because stores find sessions by their user.
        username: String,
        /// The session.
        id: SessionId,
    },
}

impl fmt::Display for RevokeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everybody"),
            Self::User(name) => write!(f, "user {name}"),
            Self::Session { id, .. } => write!(f, "session {id}"),
        }
    }
}

impl RevokeScope {
    pub(crate) fn covers(&self, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::User(name) => *session.username == **name,
            Self::Session { id, .. } => session.id == *id,
        }
    }
}

/// Runs what blocks where it holds up no request. A panic of it goes on in the caller.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            // Cancelled: the runtime ends, and the caller with it.
            Err(_) => future::pending().await,
        },
    }
}
