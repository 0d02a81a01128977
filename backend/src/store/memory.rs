//! Sessions in the memory of one process: gone with it, and unknown to every other worker.
//!
//! Rule: nothing takes time in proportion to all tokens while requests wait; a million of them fit
//! into 300 MB (`npm run bench:backend` prints it).
//!
//! It is here for tests, and to show what goes wrong: two of the five ways to lose users need
//! nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use session_keeper_tokens::{Attempts, Rotation, Session, TokenHash, UnixMillis};

use super::{AttemptKey, AttemptReset, RevokeScope, Row, Store, StoreError};

/// So many rows are looked at before waiting requests get their turn: less than a millisecond.
const CLEANED_AT_ONCE: usize = 4096;

/// Sessions in memory.
#[derive(Default)]
pub(crate) struct MemoryStore {
    tokens: RwLock<Tokens>,
    attempts: RwLock<HashMap<AttemptKey, (Attempts, Duration)>>,
}

#[derive(Default)]
struct Tokens {
    rows: BTreeMap<TokenHash, Session>,
    /// A user's rows: the hash of the name and the beginning of the token's. Others may share
    /// both, so what is found is looked at.
    by_user: BTreeSet<(u64, u64)>,
    names: RandomState,
}

impl Tokens {
    fn insert(&mut self, (hash, session): Row) {
        self.by_user.insert((self.names.hash_one(&*session.username), beginning(&hash)));
        self.rows.insert(hash, session);
    }

    fn remove(&mut self, hash: &TokenHash) {
        let Some(session) = self.rows.remove(hash) else { return };
        // A row that shares both would only become slower to list: that is one in 2^64.
        self.by_user.remove(&(self.names.hash_one(&*session.username), beginning(hash)));
    }

    fn of_user(&self, username: &str) -> impl Iterator<Item = (&TokenHash, &Session)> {
        let name = self.names.hash_one(username);
        let beginnings = self.by_user.range((name, 0)..=(name, u64::MAX));
        let rows = beginnings.flat_map(|(_, beginning)| {
            let (mut from, mut to) = ([0; 32], [0xff; 32]);
            from[..8].copy_from_slice(&beginning.to_be_bytes());
            to[..8].copy_from_slice(&beginning.to_be_bytes());
            self.rows.range(TokenHash::from(from)..=TokenHash::from(to))
        });
        rows.filter(move |(_, session)| *session.username == *username)
    }

    fn covered_by(&self, scope: &RevokeScope) -> Vec<TokenHash> {
        let covered =
            |(hash, session): (&TokenHash, &Session)| scope.covers(session).then_some(*hash);
        match scope {
            RevokeScope::All => self.rows.keys().copied().collect(),
            RevokeScope::User(name) | RevokeScope::Session { username: name, .. } => {
                self.of_user(name).filter_map(covered).collect()
            }
        }
    }
}

fn beginning(hash: &TokenHash) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

impl MemoryStore {
    fn read(&self) -> RwLockReadGuard<'_, Tokens> {
        // A row is there or not: a panic elsewhere leaves nothing half done.
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tokens> {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> RwLockWriteGuard<'_, HashMap<AttemptKey, (Attempts, Duration)>> {
        self.attempts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cleans some rows after `cursor`. Gives how many were dropped, and where to go on.
    fn clean_some(&self, cursor: Option<TokenHash>, now: UnixMillis) -> (usize, Option<TokenHash>) {
        let mut tokens = self.write();
        let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let some = tokens.rows.range((after, Bound::Unbounded)).take(CLEANED_AT_ONCE);
        let (mut last, mut expired) = (None, Vec::new());
        for (hash, session) in some {
            last = Some(*hash);
            if session.is_expired(now) {
                expired.push(*hash);
            }
        }
        expired.iter().for_each(|hash| tokens.remove(hash));
        (expired.len(), last)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn insert(&self, rows: &[Row], _now: UnixMillis) -> Result<(), StoreError> {
        let mut tokens = self.write();
        rows.iter().cloned().for_each(|row| tokens.insert(row));
        Ok(())
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        Ok(self.read().rows.get(&hash).cloned())
    }

    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        _now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut tokens = self.write();
        match tokens.rows.get_mut(&old) {
            Some(session) if session.rotation.is_none() => {
                session.rotation = Some(Box::new(rotation));
            }
            Some(_) | None => return Ok(false),
        }
        successors.iter().cloned().for_each(|row| tokens.insert(row));
        Ok(true)
    }

    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError> {
        if let Some(session) = self.write().rows.get_mut(&hash) {
            session.used_at = session.used_at.max(used_at);
        }
        Ok(())
    }

    async fn remove(&self, scope: &RevokeScope) -> Result<usize, StoreError> {
        let mut tokens = self.write();
        let covered = tokens.covered_by(scope);
        covered.iter().for_each(|hash| tokens.remove(hash));
        Ok(covered.len())
    }

    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError> {
        Ok(self.read().of_user(username).map(|(_, session)| session.clone()).collect())
    }

    async fn clean_up(&self, now: UnixMillis) -> Result<usize, StoreError> {
        self.attempts().retain(|_, (attempts, window)| !attempts.is_over(now, *window));
        let (mut sum, mut cursor) = (0, None);
        loop {
            let (dropped, last) = self.clean_some(cursor, now);
            sum += dropped;
            match last {
                Some(_) => cursor = last,
                None => return Ok(sum),
            }
            tokio::task::yield_now().await;
        }
    }

    async fn count(&self) -> Result<usize, StoreError> {
        Ok(self.read().rows.len())
    }

    async fn attempt(
        &self,
        key: AttemptKey,
        now: UnixMillis,
        window: Duration,
    ) -> Result<Attempts, StoreError> {
        let mut attempts = self.attempts();
        let before = attempts.get(&key).map(|(before, _)| *before);
        let counted = Attempts::add(before, now, window);
        attempts.insert(key, (counted, window));
        Ok(counted)
    }

    async fn reset_attempts(&self, key: AttemptKey, reset: AttemptReset) -> Result<(), StoreError> {
        let mut attempts = self.attempts();
        match reset {
            AttemptReset::All => drop(attempts.remove(&key)),
            AttemptReset::One => {
                if let Some((attempts, _)) = attempts.get_mut(&key) {
                    attempts.count = attempts.count.saturating_sub(1);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
