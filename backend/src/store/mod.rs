//! Where sessions are kept, by the hash of their token.
//!
//! Rule 1: `insert` returns when the session would survive a crash (as far as the kind of store
//! can).
//! Rule 2: a store that cannot be asked is a [`StoreError`]; `None` means that it was asked and has
//! no row.
//!
//! It deliberately does not decide on rows: expiry and verdicts are `session-keeper-tokens`'
//! business. SQLite, PostgreSQL and Redis become variants of [`Store`].

mod document;
mod file;
mod memory;

use std::fmt;
use std::future;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use session_keeper_tokens::{Session, TokenHash, UnixMillis};

pub(crate) use document::Document;
pub(crate) use file::{FileStore, Whose};
pub(crate) use memory::MemoryStore;

/// The sessions.
#[derive(Debug)]
pub(crate) enum Store {
    /// In this process only: every restart signs everybody out.
    Memory(MemoryStore),
    /// In a file that outlives the process.
    File(Arc<FileStore>),
}

impl Store {
    /// Keeps a session. May drop what has expired at `now`.
    pub(crate) async fn insert(
        &self,
        hash: TokenHash,
        session: Session,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => {
                store.insert(hash, session, now);
                Ok(())
            }
            Self::File(store) => {
                let store = Arc::clone(store);
                blocking(move || store.insert(hash, session, now)).await
            }
        }
    }

    /// The session of a token, expired or not.
    pub(crate) async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.find(hash)),
            Self::File(store) => {
                let store = Arc::clone(store);
                blocking(move || store.find(hash)).await
            }
        }
    }

    /// Forgets the session of a token. Nothing happens where there is none.
    pub(crate) async fn remove(&self, hash: TokenHash, now: UnixMillis) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => {
                store.remove(hash);
                Ok(())
            }
            Self::File(store) => {
                let store = Arc::clone(store);
                blocking(move || store.remove(hash, now)).await
            }
        }
    }
}

/// The store cannot be asked or told: the operator's to mend, and never a reason to sign anybody
/// out.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// The system refused.
    Io {
        /// The verb of the sentence "cannot … the file".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another writer has held the lock for too long.
    Busy {
        /// The lock.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            Self::Busy { path } => {
                write!(f, "another process holds {} and does not let go: end it", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Busy { .. } => None,
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
