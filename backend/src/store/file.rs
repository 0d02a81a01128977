//! Sessions in a JSON file: `{ "<hash of the token>": { "username", "created_at", "expires_at", … }
//! }`, and beside it the counted sign-in attempts.
//!
//! Rule: the file holds no token, only hashes; whoever reads it can sign in as nobody.
//!
//! It deliberately does not know how a file is written: that is [`Document`]'s.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session_keeper_tokens::{Attempts, Rotation, Session, TokenHash, UnixMillis};

use super::row::StoredRow;
use super::{AttemptKey, Document, Forgiven, Row, Store, StoreError, Whose, blocking};

/// Sessions in a file.
#[derive(Debug, Clone)]
pub(crate) struct FileStore {
    tokens: Arc<Document<Rows>>,
    attempts: Arc<Document<Counts>>,
    /// `--fault file-read-once`: what this worker read at its start and wrote since; what others
    /// write is never looked at.
    read_once: Option<Arc<Mutex<Rows>>>,
}

impl FileStore {
    /// Opens the file, or begins with none.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let tokens = Arc::new(Document::open(path)?);
        let attempts = Arc::new(Document::open(&path.with_extension("attempts.json"))?);
        Ok(Self { tokens, attempts, read_once: None })
    }

    /// As a worker does that reads the file at its start only: a fault, on purpose.
    pub(crate) fn open_and_read_once(path: &Path) -> Result<Self, StoreError> {
        let store = Self::open(path)?;
        let read = Rows::clone(&*store.tokens.read()?);
        Ok(Self { read_once: Some(Arc::new(Mutex::new(read))), ..store })
    }

    async fn read<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Rows) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        if let Some(read) = &self.read_once {
            return Ok(look(&read.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        let tokens = Arc::clone(&self.tokens);
        blocking(move || Ok(look(&*tokens.read()?))).await
    }

    async fn update<R: Send + 'static>(
        &self,
        change: impl Fn(&mut Rows) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        let (tokens, read_once) = (Arc::clone(&self.tokens), self.read_once.clone());
        blocking(move || {
            let outcome = tokens.update(&change)?;
            if let Some(read) = read_once {
                return Ok(change(&mut read.lock().unwrap_or_else(PoisonError::into_inner)));
            }
            Ok(outcome)
        })
        .await
    }

    async fn update_attempts<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Counts) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        let attempts = Arc::clone(&self.attempts);
        blocking(move || attempts.update(change)).await
    }
}

#[async_trait]
impl Store for FileStore {
    async fn insert(&self, rows: &[Row], now: UnixMillis) -> Result<(), StoreError> {
        let new = rows.to_vec();
        let insert = move |Rows(rows): &mut Rows| {
            drop_expired(rows, now);
            rows.extend(new.iter().cloned());
        };
        self.update(insert).await
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        self.read(move |Rows(rows)| rows.get(&hash).cloned()).await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let new = successors.to_vec();
        let rotate = move |Rows(rows): &mut Rows| {
            let Some(session) = rows.get_mut(&old).filter(|row| row.rotation.is_none()) else {
                return false;
            };
            session.rotation = Some(Box::new(rotation));
            drop_expired(rows, now);
            rows.extend(new.iter().cloned());
            true
        };
        self.update(rotate).await
    }

    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError> {
        let touch = move |Rows(rows): &mut Rows| {
            if let Some(session) = rows.get_mut(&hash) {
                session.used_at = session.used_at.max(used_at);
            }
        };
        self.update(touch).await
    }

    async fn remove(&self, whose: &Whose) -> Result<usize, StoreError> {
        let whose = whose.clone();
        let remove = move |Rows(rows): &mut Rows| {
            let before = rows.len();
            rows.retain(|_, session| !whose.covers(session));
            before - rows.len()
        };
        self.update(remove).await
    }

    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError> {
        let username = username.to_owned();
        let of_user = move |Rows(rows): &Rows| {
            rows.values().filter(|row| *row.username == *username).cloned().collect()
        };
        self.read(of_user).await
    }

    async fn clean_up(&self, now: UnixMillis) -> Result<usize, StoreError> {
        self.update_attempts(move |counts| counts.retain(|_, count| now < UnixMillis(count.until)))
            .await?;
        self.update(move |Rows(rows)| drop_expired(rows, now)).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.read(|Rows(rows)| rows.len()).await
    }

    async fn attempt(
        &self,
        key: AttemptKey,
        now: UnixMillis,
        window: Duration,
    ) -> Result<Attempts, StoreError> {
        self.update_attempts(move |counts| {
            let before = counts.get(&key.to_string()).map(Count::attempts);
            let attempts = Attempts::add(before, now, window);
            let Attempts { since: UnixMillis(since), count } = attempts;
            let UnixMillis(until) = attempts.since.after(window);
            counts.insert(key.to_string(), Count { since, until, count });
            attempts
        })
        .await
    }

    async fn forgive(&self, key: AttemptKey, forgiven: Forgiven) -> Result<(), StoreError> {
        self.update_attempts(move |counts| match forgiven {
            Forgiven::All => drop(counts.remove(&key.to_string())),
            Forgiven::One => {
                if let Some(count) = counts.get_mut(&key.to_string()) {
                    count.count = count.count.saturating_sub(1);
                }
            }
        })
        .await
    }
}

fn drop_expired(rows: &mut BTreeMap<TokenHash, Session>, now: UnixMillis) -> usize {
    let before = rows.len();
    rows.retain(|_, session| !session.is_expired(now));
    before - rows.len()
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, StoredRow>", into = "BTreeMap<String, StoredRow>")]
pub(crate) struct Rows(pub(super) BTreeMap<TokenHash, Session>);

impl From<Rows> for BTreeMap<String, StoredRow> {
    fn from(Rows(rows): Rows) -> Self {
        let stored =
            |(hash, session): (&TokenHash, &Session)| (hash.to_string(), StoredRow::new(session));
        rows.iter().map(stored).collect()
    }
}

impl TryFrom<BTreeMap<String, StoredRow>> for Rows {
    type Error = String;

    fn try_from(rows: BTreeMap<String, StoredRow>) -> Result<Self, String> {
        let sessions = rows.into_iter().map(|(hash, row)| {
            let hash = hash.parse::<TokenHash>().map_err(|error| error.to_string())?;
            Ok((hash, row.into_session(&hash)?))
        });
        sessions.collect::<Result<_, String>>().map(Self)
    }
}

type Counts = BTreeMap<String, Count>;

/// Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Count {
    since: u64,
    until: u64,
    count: u32,
}

impl Count {
    fn attempts(&self) -> Attempts {
        Attempts { since: UnixMillis(self.since), count: self.count }
    }
}
