//! Sessions in PostgreSQL, which any number of processes may share.
//!
//! Rule 1: each change is one statement, so it takes place whole or not at all and no transaction
//! is ever left open.
//! Rule 2: every wait is bounded, and a server that comes back is used again by itself.
//! Rule 3: what is asked again after a connection broke is what may take place twice.
//! Rule 4: only a primary is believed. A standby may lag behind: a token that it does not know is
//! valid, and one that it knows may be signed out.
//!
//! It deliberately does not know how a connection is made: that is `connect`'s.

mod connect;
mod engine;
mod schema;
mod statements;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use session_keeper_tokens::{Attempts, Rotation, Session, TokenHash, UnixMillis};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::ToSql;

use super::columns::{self, CLEANED_AT_ONCE, Columns, millis};
use super::{AttemptKey, AttemptReset, RevokeScope, Row, Store, StoreError};
use crate::config::StoreChoice;
use connect::{Failure, NO_PRIMARY, is_lost, reason};
use engine::ENGINE;
use statements::{
    CLEAN, CLEAN_ATTEMPTS, COUNT, FIND, IN_RECOVERY, INSERT, OF_USER, REMOVE_ALL, REMOVE_SESSION,
    REMOVE_USER, ROTATE,
};

/// How long an answer may take. The server is told to stop a little earlier, so that what it says
/// of it arrives.
const ANSWER_WAIT: Duration = Duration::from_millis(2500);

/// The same where all rows are deleted, of which there may be millions.
const LONG_ANSWER_WAIT: Duration = Duration::from_secs(60);

/// A second time because a connection broke, and a third because whoever had another one gave it
/// back broken just then.
const TRIES: usize = 3;

/// Sessions in PostgreSQL.
pub(crate) struct PostgresStore {
    pool: Pool,
}

type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// What happens where a connection breaks before the answer is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// It is asked again, on another connection.
    AskAgain,
    /// It is an error: twice would be something else than once.
    GiveUp,
}

impl PostgresStore {
    /// Connects to the server of `url` and brings the schema up to date.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let shown = StoreChoice::Postgres(url.to_owned());
        let pool = connect::pool(url)?;
        let opened = schema::prepare(&pool).await;
        opened.map_err(|failure| {
            let reason = format_args!(
                "{failure}: see that it runs at {shown} and that the URL in --store has the right \
                 user, password and database"
            );
            StoreError::unavailable(ENGINE, reason)
        })?;
        Ok(Self { pool })
    }

    /// Asks one statement.
    async fn ask(
        &self,
        statement: &str,
        parameters: &Parameters<'_>,
        broken: Broken,
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let mut answer = self.ask_once(statement, parameters).await;
        for _ in 1..TRIES {
            if broken == Broken::GiveUp || !matches!(answer, Err(Failure::Lost(_))) {
                break;
            }
            answer = self.ask_once(statement, parameters).await;
        }
        answer.map_err(unavailable)
    }

    async fn ask_once(
        &self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let client = self.pool.get().await.map_err(Failure::of_pool)?;
        let answer = tokio::time::timeout(ANSWER_WAIT, async {
            let statement = client.prepare_cached(statement).await?;
            client.query(&statement, parameters).await
        });
        match answer.await {
            Ok(Ok(rows)) if rows.first().is_some_and(is_of_standby) => {
                self.give_up(client);
                Err(Failure::Lost(NO_PRIMARY.to_owned()))
            }
            answer => self.judge(client, answer),
        }
    }

    fn judge<R>(
        &self,
        client: Object,
        answer: Result<Result<R, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> Result<R, Failure> {
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if is_lost(&error) => Failure::Lost(reason(&error)),
            Ok(Err(error)) => return Err(Failure::Refused(reason(&error))),
            Err(_) => Failure::Late("answer"),
        };
        self.give_up(client);
        Err(failure)
    }

    /// Where one connection is broken or hangs, the idle ones most likely are too: the next request
    /// begins with a new one.
    fn give_up(&self, client: Object) {
        drop(Object::take(client));
        drop(self.pool.retain(|_, _| false));
    }

    async fn count_of(
        &self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<usize, StoreError> {
        let rows = self.ask(statement, parameters, Broken::AskAgain).await?;
        let row = rows.first().ok_or_else(nothing)?;
        row.try_get(0).map(columns::rows).map_err(|error| corrupt(&error))
    }

    /// Deletes bit by bit, so that nobody waits long for a row or for the disk.
    async fn clean(&self, statement: &str, now: UnixMillis) -> Result<usize, StoreError> {
        let limit = i64::try_from(CLEANED_AT_ONCE).expect("it is a small number");
        let mut sum = 0;
        loop {
            let deleted = self.count_of(statement, &[&millis(now), &limit]).await?;
            sum += deleted;
            if deleted < CLEANED_AT_ONCE {
                return Ok(sum);
            }
        }
    }

    /// Deletes until there is nothing left: a rotation that was under way may have put a successor
    /// where the statement had already looked.
    async fn remove_of(
        &self,
        statement: &str,
        whose: &(dyn ToSql + Sync),
    ) -> Result<usize, StoreError> {
        let mut sum = 0;
        loop {
            match self.count_of(statement, &[whose]).await? {
                0 => return Ok(sum),
                deleted => sum += deleted,
            }
        }
    }

    /// As `remove_of` does, with more time.
    async fn remove_all(&self) -> Result<usize, StoreError> {
        let mut sum = 0;
        loop {
            let client = self.pool.get().await.map_err(Failure::of_pool).map_err(unavailable)?;
            let answer = client.simple_query(REMOVE_ALL);
            let answer = tokio::time::timeout(LONG_ANSWER_WAIT, answer).await;
            let messages = self.judge(client, answer).map_err(unavailable)?;
            match messages.iter().map(deleted_by).sum::<u64>() {
                0 => return Ok(sum),
                deleted => sum += usize::try_from(deleted).unwrap_or(usize::MAX),
            }
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn insert(&self, rows: &[Row], _now: UnixMillis) -> Result<(), StoreError> {
        // A hash of our random bytes is nobody else's: a row that is there is this one.
        self.ask(INSERT, &[&to_json(rows)], Broken::AskAgain).await.map(drop)
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        let rows = self.ask(FIND, &[&hash.to_string()], Broken::AskAgain).await?;
        to_session(rows.first().ok_or_else(nothing)?)
    }

    async fn rotate(
        &self,
        old: TokenHash,
        rotation: Rotation,
        successors: &[Row],
        _now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let by = rotation.attempt.map(|attempt| attempt.to_string());
        let (successor, old) = (rotation.successor.to_string(), old.to_string());
        let successors = to_json(successors);
        let at = millis(rotation.at);
        let once = async |is_again: bool| {
            let values: &Parameters<'_> = &[&at, &by, &successor, &old, &successors, &is_again];
            self.ask_once(ROTATE, values).await
        };
        let mut answer = once(false).await;
        for _ in 1..TRIES {
            if !matches!(answer, Err(Failure::Lost(_))) {
                break;
            }
            answer = once(true).await;
        }
        let rows = answer.map_err(unavailable)?;
        rows.first().ok_or_else(nothing)?.try_get(0).map_err(|error| corrupt(&error))
    }

    async fn touch(&self, hash: TokenHash, used_at: UnixMillis) -> Result<(), StoreError> {
        let values: &Parameters<'_> = &[&millis(used_at), &hash.to_string()];
        self.ask(columns::TOUCH, values, Broken::AskAgain).await.map(drop)
    }

    async fn remove(&self, scope: &RevokeScope) -> Result<usize, StoreError> {
        match scope {
            RevokeScope::All => self.remove_all().await,
            RevokeScope::User(name) => self.remove_of(REMOVE_USER, name).await,
            RevokeScope::Session { id, .. } => {
                self.remove_of(REMOVE_SESSION, &id.to_string()).await
            }
        }
    }

    async fn of_user(&self, username: &str) -> Result<Vec<Session>, StoreError> {
        let rows = self.ask(OF_USER, &[&username], Broken::AskAgain).await?;
        rows.iter().filter_map(|row| to_session(row).transpose()).collect()
    }

    async fn clean_up(&self, now: UnixMillis) -> Result<usize, StoreError> {
        self.clean(CLEAN_ATTEMPTS, now).await?;
        self.clean(CLEAN, now).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.count_of(COUNT, &[]).await
    }

    async fn attempt(
        &self,
        key: AttemptKey,
        now: UnixMillis,
        window: Duration,
    ) -> Result<Attempts, StoreError> {
        let (key, now, until, over, most) = columns::attempt_values(key, now, window);
        // One that is counted twice errs on the side of the limit, and that a moment long.
        let values: &Parameters<'_> = &[&key, &now, &until, &over, &most];
        let rows = self.ask(columns::ATTEMPT, values, Broken::AskAgain).await?;
        let row = rows.first().ok_or_else(nothing)?;
        let counted = (row.try_get(0), row.try_get(1));
        let (since, count) = (counted.0.map_err(|error| corrupt(&error))?, counted.1);
        Ok(columns::attempts(since, count.map_err(|error| corrupt(&error))?))
    }

    async fn reset_attempts(&self, key: AttemptKey, reset: AttemptReset) -> Result<(), StoreError> {
        let (statement, broken) = match reset {
            // Taken back twice, it would be one try more for whoever guesses.
            AttemptReset::One => (columns::RESET_ONE, Broken::GiveUp),
            AttemptReset::All => (columns::RESET_ALL, Broken::AskAgain),
        };
        self.ask(statement, &[&key.to_string()], broken).await.map(drop)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// One parameter for any number of rows, so that the statement is always the same.
fn to_json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(|(hash, session)| Columns::new(hash, session)).collect();
    serde_json::to_string(&rows).expect("texts and numbers can be written as JSON")
}

/// Also where it cannot be told.
fn is_of_standby(row: &tokio_postgres::Row) -> bool {
    let last = row.columns().last().filter(|column| column.name() == IN_RECOVERY);
    last.is_some() && row.try_get(row.len() - 1).unwrap_or(true)
}

/// `None`: it is the row that a statement gives where there is none.
fn to_session(row: &tokio_postgres::Row) -> Result<Option<Session>, StoreError> {
    let token: Option<&str> = row.try_get(0).map_err(|error| corrupt(&error))?;
    if token.is_none() {
        return Ok(None);
    }
    let columns = || -> Result<Columns, tokio_postgres::Error> {
        Ok(Columns {
            token: row.try_get(0)?,
            username: row.try_get(1)?,
            expires: row.try_get(2)?,
            created: row.try_get(3)?,
            used: row.try_get(4)?,
            session: row.try_get(5)?,
            kind: row.try_get(6)?,
            device: row.try_get(7)?,
            bound_to: row.try_get(8)?,
            rotated_at: row.try_get(9)?,
            rotated_by: row.try_get(10)?,
            successor: row.try_get(11)?,
            key_id: row.try_get(12)?,
        })
    };
    columns().map_err(|error| corrupt(&error))?.into_session(ENGINE).map(Some)
}

fn deleted_by(message: &SimpleQueryMessage) -> u64 {
    if let SimpleQueryMessage::CommandComplete(rows) = message { *rows } else { 0 }
}

fn unavailable(failure: Failure) -> StoreError {
    StoreError::unavailable(ENGINE, failure)
}

fn corrupt(error: &tokio_postgres::Error) -> StoreError {
    StoreError::corrupt(ENGINE, reason(error))
}

fn nothing() -> StoreError {
    StoreError::corrupt(ENGINE, "the answer has no row")
}
