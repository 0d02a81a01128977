//! Sessions in the memory of one process: gone with it, and unknown to every other worker.
//!
//! It is here for tests, and to show what goes wrong: two of the five ways to lose users need
//! nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_keeper_tokens::{Session, TokenHash, UnixMillis, drop_expired};

/// Sessions in memory.
#[derive(Default)]
pub(crate) struct MemoryStore {
    rows: Mutex<BTreeMap<TokenHash, Session>>,
}

impl MemoryStore {
    pub(super) fn insert(&self, hash: TokenHash, session: Session, now: UnixMillis) {
        let mut rows = self.rows();
        drop_expired(&mut rows, now);
        rows.insert(hash, session);
    }

    pub(super) fn find(&self, hash: TokenHash) -> Option<Session> {
        self.rows().get(&hash).cloned()
    }

    pub(super) fn remove(&self, hash: TokenHash) {
        self.rows().remove(&hash);
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<TokenHash, Session>> {
        // A row is there or not: a panic elsewhere leaves nothing half done.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
