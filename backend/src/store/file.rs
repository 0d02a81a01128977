//! Sessions in a JSON file: `{ "<hash of the token>": { "username", "created_at", "expires_at", … }
//! }`, and beside it the counted sign-in attempts.
//!
//! Rule 1: the file holds no token, only hashes; whoever reads it can sign in as nobody.
//! Rule 2: a row that cannot be understood stays as it is, and asking for it is an error: a newer
//! version may have written it, and the other rows are none the worse for it.
//!
//! It deliberately does not know how a file is written: that is [`Document`]'s.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use session_keeper_tokens::{Attempts, Rotation, Session, TokenHash, UnixMillis};
use tracing::warn;

use super::row::{self, StoredRow};
use super::{
    AttemptKey, AttemptReset, Document, OpenMode, RevokeScope, Row, Store, StoreError, blocking,
};

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
    /// Opens the file, or makes it where that may be.
    pub(crate) fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        let tokens: Arc<Document<Rows>> = Arc::new(Document::open_with_backup(path, mode)?);
        let odd = tokens.read()?.odd.len();
        if odd > 0 {
            let path = path.display();
            warn!("{odd} rows of {path} cannot be understood, and are kept: repair or delete them");
        }
        let attempts = Document::open_disposable(&path.with_extension("attempts.json"))?;
        let attempts = Arc::new(attempts);
        Ok(Self { tokens, attempts, read_once: None })
    }

    /// As a worker does that reads the file at its start only: a fault, on purpose.
    pub(crate) fn open_and_read_once(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        let store = Self::open(path, mode)?;
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
        let insert = move |rows: &mut Rows| {
            rows.drop_stale(now);
            rows.known.extend(new.iter().cloned());
        };
        self.update(insert).await
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        self.read(move |rows| rows.find(&hash)).await?
    }

    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let new = successors.to_vec();
        let rotate = move |rows: &mut Rows| {
            let session = rows.known.get_mut(&old).filter(|row| row.rotation.is_none());
            let Some(session) = session else { return false };
            session.rotation = Some(Box::new(rotation));
            rows.drop_stale(now);
            rows.known.extend(new.iter().cloned());
            true
        };
        self.update(rotate).await
    }

    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError> {
        let touch = move |rows: &mut Rows| {
            if let Some(session) = rows.known.get_mut(&hash) {
                session.used_at = session.used_at.max(used_at);
            }
        };
        self.update(touch).await
    }

    async fn remove(&self, scope: &RevokeScope) -> Result<usize, StoreError> {
        let scope = scope.clone();
        self.update(move |rows| rows.remove(&scope)).await
    }

    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError> {
        let username = username.to_owned();
        let of_user = move |rows: &Rows| {
            rows.known.values().filter(|row| *row.username == *username).cloned().collect()
        };
        self.read(of_user).await
    }

    async fn clean_up(&self, now: UnixMillis) -> Result<usize, StoreError> {
        self.update_attempts(move |counts| counts.retain(|_, count| now < UnixMillis(count.until)))
            .await?;
        self.update(move |rows| rows.drop_expired(now)).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.read(Rows::len).await
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

    async fn reset_attempts(&self, key: AttemptKey, reset: AttemptReset) -> Result<(), StoreError> {
        self.update_attempts(move |counts| match reset {
            AttemptReset::All => drop(counts.remove(&key.to_string())),
            AttemptReset::One => {
                if let Some(count) = counts.get_mut(&key.to_string()) {
                    count.count = count.count.saturating_sub(1);
                }
            }
        })
        .await
    }
}

/// What is in the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Box<RawValue>>", into = "BTreeMap<String, Written>")]
pub(crate) struct Rows {
    pub(super) known: BTreeMap<TokenHash, Session>,
    /// What cannot be understood, as it was written.
    pub(super) odd: BTreeMap<String, String>,
}

impl Rows {
    fn len(&self) -> usize {
        self.known.len() + self.odd.len()
    }

    fn find(&self, hash: &TokenHash) -> Result<Option<Session>, StoreError> {
        let known = self.known.get(hash);
        if known.is_none() && self.odd.keys().any(|key| key.parse() == Ok(*hash)) {
            let advice = "repair or delete what the log counted at the start";
            return Err(StoreError::corrupt("the file of tokens", advice));
        }
        Ok(known.cloned())
    }

    fn remove(&mut self, scope: &RevokeScope) -> usize {
        let before = self.len();
        self.known.retain(|_, session| !scope.covers(session));
        self.odd.retain(|_, text| !covers_odd(scope, text));
        before - self.len()
    }

    /// Not what has just expired: by a clock that is wrong for a minute, that would be everything.
    fn drop_stale(&mut self, now: UnixMillis) {
        self.known.retain(|_, session| !session.is_stale(now));
    }

    fn drop_expired(&mut self, now: UnixMillis) -> usize {
        let before = self.len();
        self.known.retain(|_, session| !session.is_expired(now));
        let expiry = |text: &str| row::time(field(text, "expires_at")?.as_str()?).ok();
        self.odd.retain(|_, text| expiry(text).is_none_or(|at| now < at));
        before - self.len()
    }
}

/// Whoever is signed out must stay so when the row is understood again.
fn covers_odd(scope: &RevokeScope, text: &str) -> bool {
    let is = |name: &str, wanted: &str| field(text, name).is_some_and(|value| value == *wanted);
    match scope {
        RevokeScope::All => true,
        RevokeScope::User(name) => is("username", name),
        RevokeScope::Session { id, .. } => is("session", &id.to_string()),
    }
}

fn field(row: &str, name: &str) -> Option<Value> {
    let row: Value = serde_json::from_str(row).ok()?;
    row.get(name).cloned()
}

/// A row on its way into the file.
#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Known(Box<StoredRow>),
    Odd(Box<RawValue>),
}

impl From<Rows> for BTreeMap<String, Written> {
    fn from(Rows { known, odd }: Rows) -> Self {
        let odd = odd.into_iter().map(|(key, text)| {
            let raw = RawValue::from_string(text).expect("it was read from JSON");
            (key, Written::Odd(raw))
        });
        let known = known.iter().map(|(hash, session)| {
            (hash.to_string(), Written::Known(Box::new(StoredRow::new(session))))
        });
        // A row that is understood is the newer one, should both have the same hash.
        odd.chain(known).collect()
    }
}

impl TryFrom<BTreeMap<String, Box<RawValue>>> for Rows {
    type Error = &'static str;

    fn try_from(rows: BTreeMap<String, Box<RawValue>>) -> Result<Self, Self::Error> {
        let is_empty = rows.is_empty();
        let (mut read, mut has_hash) = (Self::default(), false);
        for (key, text) in rows {
            let hash = key.parse::<TokenHash>().ok();
            has_hash |= hash.is_some();
            match hash.and_then(|hash| Some((hash, row::read(&hash, text.get())?))) {
                Some((hash, session)) => drop(read.known.insert(hash, session)),
                None => drop(read.odd.insert(key, text.get().to_owned())),
            }
        }
        // Another file than ours: to begin with it would be to begin with nothing.
        if has_hash || is_empty { Ok(read) } else { Err("no key is the hash of a token") }
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
