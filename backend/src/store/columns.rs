//! A row as both SQL stores keep it, and the statements that both understand alike.
//!
//! Rule 1: what is in a row and makes no sense is an error that names the column, never the value.
//! Rule 2: a statement's parameters are numbered in the order in which they appear: SQLite counts
//! them so, whatever their names.
//!
//! It deliberately does not know how a statement is sent.

use std::time::Duration;

use serde::Serialize;
use session_keeper_tokens::{
    Attempt, Attempts, Binding, Device, KeyId, Kind, Rotation, Sealed, Session, SessionId,
    TokenHash, UnixMillis,
};

use super::{AttemptKey, StoreError};

/// So many rows are deleted in one transaction by a clean-up: some ten milliseconds, for which
/// other writers wait.
pub(super) const CLEANED_AT_ONCE: usize = 1000;

macro_rules! columns {
    () => {
        "token, username, expires, created, used, session, kind, device, bound_to, rotated_at, \
         rotated_by, successor, key_id"
    };
}
pub(super) use columns;

pub(super) const FIND: &str = concat!("SELECT ", columns!(), " FROM auth_tokens WHERE token = $1");
pub(super) const OF_USER: &str =
    concat!("SELECT ", columns!(), " FROM auth_tokens WHERE username = $1");
pub(super) const COUNT: &str = "SELECT count(*) FROM auth_tokens";
pub(super) const TOUCH: &str = "UPDATE auth_tokens SET used = $1 WHERE token = $2 AND used < $1";
pub(super) const REMOVE_ALL: &str = "DELETE FROM auth_tokens";
pub(super) const REMOVE_USER: &str = "DELETE FROM auth_tokens WHERE username = $1";
pub(super) const REMOVE_SESSION: &str = "DELETE FROM auth_tokens WHERE session = $1";
pub(super) const RESET_ONE: &str =
    "UPDATE login_attempts SET count = count - 1 WHERE key = $1 AND count > 0";
pub(super) const RESET_ALL: &str = "DELETE FROM login_attempts WHERE key = $1";

/// [`Attempts::add`] in one statement, so that two processes count two: key, now, the end of a
/// window that begins now, the last beginning of a window that is over, the highest count.
pub(super) const ATTEMPT: &str = "\
    INSERT INTO login_attempts (key, since, until, count) VALUES ($1, $2, $3, 1) \
    ON CONFLICT (key) DO UPDATE SET \
        count = CASE \
            WHEN login_attempts.since > excluded.since OR login_attempts.since <= $4 THEN 1 \
            WHEN login_attempts.count < $5 THEN login_attempts.count + 1 \
            ELSE login_attempts.count END, \
        until = CASE \
            WHEN login_attempts.since > excluded.since OR login_attempts.since <= $4 \
            THEN excluded.until ELSE login_attempts.until END, \
        since = CASE \
            WHEN login_attempts.since > excluded.since OR login_attempts.since <= $4 \
            THEN excluded.since ELSE login_attempts.since END \
    RETURNING since, count";

/// A row, column by column.
#[derive(Serialize)]
pub(super) struct Columns {
    pub(super) token: String,
    pub(super) username: String,
    pub(super) expires: i64,
    pub(super) created: i64,
    pub(super) used: i64,
    pub(super) session: String,
    pub(super) kind: String,
    pub(super) device: String,
    pub(super) bound_to: Option<String>,
    pub(super) rotated_at: Option<i64>,
    pub(super) rotated_by: Option<String>,
    pub(super) successor: Option<String>,
    pub(super) key_id: Option<String>,
}

impl Columns {
    pub(super) fn new(hash: &TokenHash, session: &Session) -> Self {
        let rotation = session.rotation.as_deref();
        Self {
            token: hash.to_string(),
            username: session.username.to_string(),
            expires: millis(session.expires_at),
            created: millis(session.created_at),
            used: millis(session.used_at),
            session: session.id.to_string(),
            kind: match session.kind {
                Kind::Access => "access".to_owned(),
                Kind::Refresh => "refresh".to_owned(),
            },
            device: session.device.to_string(),
            bound_to: session.bound_to.as_ref().map(ToString::to_string),
            rotated_at: rotation.map(|rotation| millis(rotation.at)),
            rotated_by: rotation.and_then(|rotation| rotation.attempt).map(|by| by.to_string()),
            successor: rotation.map(|rotation| rotation.successor.to_string()),
            key_id: session.key.map(|key| key.to_string()),
        }
    }

    pub(super) fn into_session(self, engine: &'static str) -> Result<Session, StoreError> {
        let invalid = |column: &str| StoreError::corrupt(engine, format_args!("see {column}"));
        let Ok(device) = self.device.parse::<Device>();
        let rotation = match (self.rotated_at, self.successor) {
            (None, _) => None,
            (Some(at), successor) => {
                let successor = successor.and_then(|text| text.parse::<Sealed>().ok());
                let by = self.rotated_by.map(|text| text.parse::<Attempt>()).transpose();
                Some(Box::new(Rotation {
                    at: time(at),
                    attempt: by.map_err(|_| invalid("rotated_by"))?,
                    successor: successor.ok_or_else(|| invalid("successor"))?,
                }))
            }
        };
        let bound_to = self.bound_to.map(|text| text.parse::<Binding>()).transpose();
        let key = self.key_id.map(|text| text.parse::<KeyId>()).transpose();
        Ok(Session {
            id: self.session.parse::<SessionId>().map_err(|_| invalid("session"))?,
            kind: match &*self.kind {
                "access" => Kind::Access,
                "refresh" => Kind::Refresh,
                _ => return Err(invalid("kind")),
            },
            device,
            username: self.username.into(),
            created_at: time(self.created),
            expires_at: time(self.expires),
            used_at: time(self.used),
            bound_to: bound_to.map_err(|_| invalid("bound_to"))?.map(Box::new),
            rotation,
            key: key.map_err(|_| invalid("key_id"))?,
        })
    }
}

/// SQL has no unsigned numbers. What is beyond them is in 292 million years.
pub(super) fn millis(UnixMillis(millis): UnixMillis) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> UnixMillis {
    UnixMillis(u64::try_from(millis).unwrap_or(0))
}

/// The values of [`ATTEMPT`].
pub(super) fn attempt_values(
    key: AttemptKey,
    now: UnixMillis,
    window: Duration,
) -> (String, i64, i64, i64, i64) {
    let over = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let over = millis(now).saturating_sub(over);
    (key.to_string(), millis(now), millis(now.after(window)), over, i64::from(u32::MAX))
}

pub(super) fn attempts(since: i64, count: i64) -> Attempts {
    // The statement counts no further than this type does.
    Attempts { since: time(since), count: u32::try_from(count).unwrap_or(u32::MAX) }
}

/// How many rows there were, as this machine counts.
pub(super) fn rows(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
