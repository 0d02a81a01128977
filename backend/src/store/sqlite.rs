//! Sessions in a SQLite database, which several processes may share.
//!
//! Rule 1: what was acknowledged is on disk, also after a power cut.
//! Rule 2: a read happens where it is asked for: it takes microseconds, and a hop to another thread
//! takes longer. Only one that would have to wait goes where waiting holds up nobody.
//! Rule 3: a database that was deleted or replaced is not read on: its changes would be lost, and a
//! session that was ended elsewhere would live.
//!
//! It deliberately does not know how a database is opened or repaired: that is [`Database`]'s.

mod database;
mod errors;
mod identify;
mod import;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, Params, Transaction, params};
use session_keeper_tokens::{Attempts, Rotation, Session, SessionId, TokenHash, UnixMillis};
use tokio::sync::Mutex;
use tracing::warn;

use super::columns::{self, CLEANED_AT_ONCE, Columns, millis};
use super::private;
use super::{AttemptKey, AttemptReset, OpenMode, RevokeScope, Row, Store, StoreError, blocking};
use database::{BUSY_WAIT, Database, Identity};
use errors::{ENGINE, is_busy};
use rows::{find, from_row, insert};

/// How long a replaced database may go unnoticed by reads. Looking takes a microsecond: more often
/// would cost reads, and what writes are told is looked up each time.
const LOOKED_AT_EACH: Duration = Duration::from_secs(1);

const ROTATE: &str = "UPDATE auth_tokens SET rotated_at = $1, rotated_by = $2, successor = $3 \
                      WHERE token = $4 AND rotated_at IS NULL";
const CLEAN: &str = "DELETE FROM auth_tokens WHERE token IN \
                     (SELECT token FROM auth_tokens WHERE expires <= $1 LIMIT $2)";
const CLEAN_ATTEMPTS: &str = "DELETE FROM login_attempts WHERE key IN \
                              (SELECT key FROM login_attempts WHERE until <= $1 LIMIT $2)";

/// Sessions in SQLite.
pub(crate) struct SqliteStore {
    path: PathBuf,
    current: RwLock<Arc<Database>>,
    reopening: Mutex<()>,
    began: Instant,
    /// Milliseconds after `began`.
    look_at: AtomicU64,
}

/// When it is looked whether the database is still the one at its path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Always,
    Sometimes,
}

impl SqliteStore {
    /// Opens the database, or makes it where that may be, with what an older version kept in a
    /// file.
    pub(crate) async fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        // Absolute: SQLite takes a path that begins with `file:` for a URI.
        let path = std::path::absolute(path)
            .map_err(|source| StoreError::io("find the folder of", path, source))?;
        let path = private::resolve(&path)?;
        let wanted = path.clone();
        let database = blocking(move || {
            identify::identify(&wanted)?;
            Database::open(&wanted, mode)
        });
        let database = database.await?;
        Ok(Self {
            path,
            current: RwLock::new(Arc::new(database)),
            reopening: Mutex::new(()),
            began: Instant::now(),
            look_at: AtomicU64::new(0),
        })
    }

    async fn database(&self, look: Look) -> Result<Arc<Database>, StoreError> {
        let current = self.current();
        let now = self.began.elapsed();
        let look_at = Duration::from_millis(self.look_at.load(Ordering::Relaxed));
        if look == Look::Sometimes && now < look_at && !current.is_suspect() {
            return Ok(current);
        }
        if !current.is_suspect() && Identity::of(&self.path)? == current.identity() {
            let next = u64::try_from((now + LOOKED_AT_EACH).as_millis()).unwrap_or(u64::MAX);
            self.look_at.store(next, Ordering::Relaxed);
            return Ok(current);
        }
        self.reopen(&current).await
    }

    async fn reopen(&self, stale: &Arc<Database>) -> Result<Arc<Database>, StoreError> {
        let _turn = self.reopening.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, stale) {
            return Ok(current);
        }
        let (path, old) = (self.path.clone(), stale.files());
        let opened = blocking(move || {
            old.drop_journal_of_replaced(&path)?;
            Database::open(&path, OpenMode::MustExist)
        });
        let opened = Arc::new(opened.await?);
        if opened.identity() != stale.identity() {
            warn!("{} is another database than before: reading that", self.path.display());
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&opened);
        Ok(opened)
    }

    fn current(&self) -> Arc<Database> {
        // It is replaced in one go: a panic elsewhere leaves nothing half done.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what may take longer.
    async fn read_aside<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let database = self.database(Look::Sometimes).await?;
        blocking(move || database.read(BUSY_WAIT, look).map_err(|error| database.failed(&error)))
            .await
    }

    async fn write<R: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let database = self.database(Look::Always).await?;
        let mut writer = database.writer().await?;
        blocking(move || {
            Database::change(&mut writer, change).map_err(|error| database.failed(&error))
        })
        .await
    }

    async fn execute(
        &self,
        statement: &'static str,
        parameters: impl Params + Send + 'static,
    ) -> Result<usize, StoreError> {
        self.write(move |on| on.prepare_cached(statement)?.execute(parameters)).await
    }

    /// Deletes bit by bit, so that other writers get their turn in between.
    async fn clean(&self, statement: &'static str, now: UnixMillis) -> Result<usize, StoreError> {
        let mut sum = 0;
        loop {
            let limit = i64::try_from(CLEANED_AT_ONCE).expect("it is a small number");
            let deleted = self.execute(statement, (millis(now), limit)).await?;
            sum += deleted;
            if deleted < CLEANED_AT_ONCE {
                return Ok(sum);
            }
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert(&self, rows: &[Row], _now: UnixMillis) -> Result<(), StoreError> {
        let rows = to_columns(rows);
        self.write(move |on| rows.iter().try_for_each(|row| insert(on, row))).await
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        let database = self.database(Look::Sometimes).await?;
        let found = match database.read(Duration::ZERO, |from| find(from, &hash)) {
            Err(error) if is_busy(&error) => self.read_aside(move |from| find(from, &hash)).await?,
            outcome => outcome.map_err(|error| database.failed(&error))?,
        };
        found.map(|columns| columns.into_session(ENGINE)).transpose()
    }

    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        _now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let successors = to_columns(successors);
        self.write(move |on| {
            let by = rotation.attempt.map(|attempt| attempt.to_string());
            let successor = rotation.successor.to_string();
            let values = params![millis(rotation.at), by, successor, old.to_string()];
            if on.prepare_cached(ROTATE)?.execute(values)? == 0 {
                return Ok(false);
            }
            successors.iter().try_for_each(|row| insert(on, row))?;
            Ok(true)
        })
        .await
    }

    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError> {
        let values = (millis(used_at), hash.to_string());
        self.execute(columns::TOUCH, values).await.map(drop)
    }

    async fn remove(&self, scope: &RevokeScope) -> Result<usize, StoreError> {
        match scope {
            RevokeScope::All => self.execute(columns::REMOVE_ALL, ()).await,
            RevokeScope::User(name) => self.execute(columns::REMOVE_USER, (name.clone(),)).await,
            RevokeScope::Session { id, .. } => {
                self.execute(columns::REMOVE_SESSION, (SessionId::to_string(id),)).await
            }
        }
    }

    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError> {
        let username = username.to_owned();
        let rows = self.read_aside(move |from| {
            let mut statement = from.prepare_cached(columns::OF_USER)?;
            let rows = statement.query_map([username], from_row)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        rows.await?.into_iter().map(|columns| columns.into_session(ENGINE)).collect()
    }

    async fn clean_up(&self, now: UnixMillis) -> Result<usize, StoreError> {
        self.clean(CLEAN_ATTEMPTS, now).await?;
        self.clean(CLEAN, now).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        let count = |from: &Connection| from.query_row(columns::COUNT, (), |row| row.get(0));
        self.read_aside(count).await.map(columns::rows)
    }

    async fn attempt(
        &self,
        key: AttemptKey,
        now: UnixMillis,
        window: Duration,
    ) -> Result<Attempts, StoreError> {
        let values = columns::attempt_values(key, now, window);
        self.write(move |on| {
            let mut statement = on.prepare_cached(columns::ATTEMPT)?;
            statement.query_row(values, |row| Ok(columns::attempts(row.get(0)?, row.get(1)?)))
        })
        .await
    }

    async fn reset_attempts(&self, key: AttemptKey, reset: AttemptReset) -> Result<(), StoreError> {
        let statement = match reset {
            AttemptReset::One => columns::RESET_ONE,
            AttemptReset::All => columns::RESET_ALL,
        };
        self.execute(statement, (key.to_string(),)).await.map(drop)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn to_columns(rows: &[Row]) -> Vec<Columns> {
    rows.iter().map(|(hash, session)| Columns::new(hash, session)).collect()
}
