//! Sessions in Redis (6 or later, or Valkey), which forgets them by itself when they are over.
//!
//! | key | what |
//! |---|---|
//! | `auth_token:<hash of the token>` | the row, as in files |
//! | `auth_user:<SHA-256 of the name>` | hashes of the user's tokens, some of them gone: `index` |
//! | `auth_ending:<session>` | for some seconds: it is being ended, in more than one step |
//! | `auth_attempts:<digest>` | when the window began, and the count |
//!
//! Rule 1: each change is one script, so it takes place whole, and after or before every other. The
//! end of more sessions than Redis should be held for is several, and of a session none is rotated
//! from the first on.
//! Rule 2: whether a token is over is decided by the rows' times. That Redis drops a key is only
//! cleaning up, and later than that: its clock is another one.
//!
//! It keeps what it acknowledged as well as Redis does: that needs `appendonly yes`, and
//! `maxmemory-policy noeviction`, or it drops sessions that are valid; with one of the `allkeys-`
//! policies also a user's index, without which a sign-out everywhere may overlook a session. Redis
//! Cluster is none of it: a script's keys would be on several machines.

mod index;
mod link;
mod scripts;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, ScriptInvocation, cmd};
use session_keeper_tokens::{
    Attempts, Device, Lifetime, Rotation, Session, SessionId, TokenHash, UnixMillis,
};
use sha2::{Digest, Sha256};
use tracing::warn;

use self::index::{Index, Janitor};
use self::link::{ENGINE, Idempotency, Link};
use super::row::StoredRow;
use super::{AttemptKey, AttemptReset, RevokeScope, Row, Store, StoreError};
use crate::clock;

/// How much longer than a row is valid Redis keeps it: the clocks of several workers may differ by
/// as much, and to each of them it is expired before it is unknown.
const SLACK: Duration = Duration::from_secs(5 * 60);

/// Longer than any session, and Redis can add it to its time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Looked at by Redis before others get their turn: less than a millisecond.
const SCANNED_AT_ONCE: usize = 1000;

/// A pass takes less time than the one before, in which less is rotated and found by the next.
const PASSES: usize = 8;

/// Sessions in Redis.
pub(crate) struct RedisStore {
    link: Link,
    janitor: Janitor,
}

impl RedisStore {
    /// Asks the server at `url` once, so that one that is not there is reported at the start.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self { link: Link::new(url)?, janitor: Janitor::default() };
        match store.ask::<()>(cmd("EXISTS").arg("auth_token:")).await {
            Err(StoreError::Unavailable { reason, .. }) => {
                let check = "check that it runs and that --store or REDIS_URL is its address";
                return Err(StoreError::unavailable(ENGINE, format_args!("{reason} ({check})")));
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        // Who may not ask for it is told nothing: hosted ones forbid it.
        if let Ok(info) = store.ask::<String>(&cmd("INFO")).await {
            warn_of_losses(&info);
        }
        Ok(store)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.link.command(command, Idempotency::Idempotent).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        idempotency: Idempotency,
    ) -> Result<T, StoreError> {
        self.link.run(script, idempotency).await
    }

    fn index<'a>(&'a self, username: &'a str) -> Index<'a> {
        Index { link: &self.link, key: user_key(username), username }
    }

    /// The users' indexes stay: somebody may be signing in, and would be in none. The clean-up
    /// takes them.
    async fn remove_all_once(&self) -> Result<usize, StoreError> {
        let (mut sum, mut cursor) = (0, 0);
        loop {
            let mut remove = scripts::REMOVE_SOME.arg(cursor);
            remove.arg(SCANNED_AT_ONCE);
            let (next, removed): (u64, usize) =
                self.run(&remove, Idempotency::NotIdempotent).await?;
            sum += removed;
            if next == 0 {
                return Ok(sum);
            }
            cursor = next;
        }
    }

    /// A token that is rotated during a pass has successors that the pass may not come by.
    async fn remove_all(&self) -> Result<usize, StoreError> {
        let mut sum = 0;
        for _ in 0..PASSES {
            match self.remove_all_once().await? {
                0 => break,
                removed => sum += removed,
            }
        }
        Ok(sum)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn insert(&self, rows: &[Row], now: UnixMillis) -> Result<(), StoreError> {
        let mut insert = scripts::INSERT.prepare_invoke();
        add_rows(&mut insert, rows, now)?;
        self.run(&insert, Idempotency::Idempotent).await
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        let mut text: Option<String> = self.ask(cmd("GET").arg(token_key(hash))).await?;
        if text.is_none() {
            // Redis may have become a replica since it was connected to.
            text = self.run(&scripts::FIND.key(token_key(hash)), Idempotency::Idempotent).await?;
        }
        text.map(|text| parse(&hash, &text)).transpose()
    }

    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut rotate = scripts::ROTATE.key(token_key(old));
        rotate.arg(rotation_text(rotation)?);
        add_rows(&mut rotate, successors, now)?;
        self.run(&rotate, Idempotency::NotIdempotent).await
    }

    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError> {
        let mut touch = scripts::TOUCH.key(token_key(hash));
        touch.arg(clock::iso(used_at));
        match self.run::<Option<String>>(&touch, Idempotency::Idempotent).await? {
            Some(username) => self.index(&username).note(&token_key(hash)).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, scope: &RevokeScope) -> Result<usize, StoreError> {
        match scope {
            RevokeScope::All => self.remove_all().await,
            RevokeScope::User(name) => self.index(name).remove(None).await,
            RevokeScope::Session { username, id } => self.index(username).remove(Some(*id)).await,
        }
    }

    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError> {
        let rows = self.index(username).rows().await?;
        let sessions = rows.iter().map(|(hash, text)| {
            let hash = hash.parse().map_err(|error| StoreError::corrupt(ENGINE, error))?;
            parse(&hash, text)
        });
        sessions.collect()
    }

    /// Of tokens, Redis does it.
    async fn clean_up(&self, _now: UnixMillis) -> Result<usize, StoreError> {
        self.janitor.clean_up(&self.link).await.map(|()| 0)
    }

    /// Looks at every key in the database: some seconds for a million, which only a start asks for.
    async fn count(&self) -> Result<usize, StoreError> {
        let (mut sum, mut cursor) = (0, 0);
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg("auth_token:*").arg("COUNT").arg(SCANNED_AT_ONCE);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            // While Redis makes room a key may come twice: the log's number is good enough.
            sum += keys.len();
            if next == 0 {
                return Ok(sum);
            }
            cursor = next;
        }
    }

    async fn attempt(
        &self,
        key: AttemptKey,
        now: UnixMillis,
        window: Duration,
    ) -> Result<Attempts, StoreError> {
        let mut attempt = scripts::ATTEMPT.key(attempts_key(key));
        attempt
            .arg(now.0)
            .arg(milliseconds(window))
            .arg(milliseconds(window.saturating_add(SLACK)));
        let (since, count): (u64, u64) = self.run(&attempt, Idempotency::NotIdempotent).await?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Attempts { since: UnixMillis(since), count })
    }

    async fn reset_attempts(&self, key: AttemptKey, reset: AttemptReset) -> Result<(), StoreError> {
        match reset {
            AttemptReset::All => self.ask(&Cmd::del(attempts_key(key))).await,
            AttemptReset::One => {
                self.run(&scripts::RESET_ONE.key(attempts_key(key)), Idempotency::NotIdempotent)
                    .await
            }
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

fn token_key(hash: TokenHash) -> String {
    format!("auth_token:{hash}")
}

fn user_key(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(name).into();
    format!("auth_user:{}", TokenHash::from(digest))
}

fn attempts_key(key: AttemptKey) -> String {
    format!("auth_attempts:{key}")
}

/// As [`scripts::INSERT`] takes them.
fn add_rows(
    script: &mut ScriptInvocation<'_>,
    rows: &[Row],
    now: UnixMillis,
) -> Result<(), StoreError> {
    for (hash, session) in rows {
        let lasts = session.expires_at.since(now) + SLACK;
        script.key(token_key(*hash)).key(user_key(&session.username));
        script.arg(text(session)?).arg(milliseconds(lasts)).arg(hash.to_string());
    }
    Ok(())
}

fn text(session: &Session) -> Result<String, StoreError> {
    serde_json::to_string(&StoredRow::new(session)).map_err(|error| unwritable(&error))
}

/// A rotation as it stands in a row.
fn rotation_text(rotation: Rotation) -> Result<String, StoreError> {
    let id = SessionId::from([0; 16]);
    let mut session = Session::begin(id, "", Device::default(), rotation.at, Lifetime::MIN);
    session.rotation = Some(Box::new(rotation));
    let row = serde_json::to_value(StoredRow::new(&session)).map_err(|error| unwritable(&error))?;
    Ok(row["rotated"].to_string())
}

fn parse(hash: &TokenHash, text: &str) -> Result<Session, StoreError> {
    // Position and category only: serde's own text may quote what is in the row.
    let row: StoredRow = serde_json::from_str(text).map_err(|error| {
        let reason = format!("{:?} error at column {}", error.classify(), error.column());
        StoreError::corrupt(ENGINE, reason)
    })?;
    row.into_session(hash).map_err(|reason| StoreError::corrupt(ENGINE, reason))
}

fn unwritable(error: &serde_json::Error) -> StoreError {
    StoreError::corrupt(ENGINE, format_args!("{:?} error in writing it", error.classify()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.min(LONGEST).as_millis()).unwrap_or(u64::MAX)
}

/// What Redis says of itself, where it means that sessions will be lost.
fn warn_of_losses(info: &str) {
    let value = |name: &str| {
        let find = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
        info.lines().find_map(find).unwrap_or_default()
    };
    let policy = value("maxmemory_policy");
    if value("maxmemory") != "0" && !matches!(&*policy, "" | "noeviction") {
        warn!(
            "Redis drops sessions that are valid when its memory is full, and signs their users \
             out: set maxmemory-policy noeviction instead of {policy}"
        );
    }
    if value("aof_enabled") == "0" {
        warn!(
            "Redis writes to its disk only now and then, and a crash of it signs out who has \
             signed in since: set appendonly yes"
        );
    }
}
