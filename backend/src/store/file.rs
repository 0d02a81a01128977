//! Sessions in a JSON file: `{ "<hash of the token>": { "username", "created_at", "expires_at" }
//! }`.
//!
//! Rule: the file holds no token, only hashes; whoever reads it can sign in as nobody.
//!
//! It deliberately does not know how the file is written: that is [`Document`]'s.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use session_keeper_tokens::{Session, TokenHash, UnixMillis, drop_expired};

use super::{Document, StoreError};
use crate::clock::{self, InvalidTime};

/// Sessions in a file.
#[derive(Debug)]
pub(crate) struct FileStore {
    document: Document<Rows>,
}

impl FileStore {
    /// Opens the file, or begins with none.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Document::open(path).map(|document| Self { document })
    }

    /// Forgets sessions for good, and says how many. A running server notices at its next
    /// verification.
    pub(crate) fn revoke(&self, whose: &Whose, now: UnixMillis) -> Result<usize, StoreError> {
        self.document.update(|Rows(rows)| {
            drop_expired(rows, now);
            let before = rows.len();
            rows.retain(|_, session| !whose.covers(session));
            before - rows.len()
        })
    }

    pub(super) fn insert(
        &self,
        hash: TokenHash,
        session: Session,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.document.update(|Rows(rows)| {
            drop_expired(rows, now);
            rows.insert(hash, session);
        })
    }

    pub(super) fn find(&self, hash: TokenHash) -> Result<Option<Session>, StoreError> {
        Ok(self.document.read()?.0.get(&hash).cloned())
    }

    pub(super) fn remove(&self, hash: TokenHash, now: UnixMillis) -> Result<(), StoreError> {
        self.document.update(|Rows(rows)| {
            drop_expired(rows, now);
            rows.remove(&hash);
        })
    }
}

/// Whose sessions are revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's.
    All,
    /// One user's.
    User(String),
}

impl Whose {
    fn covers(&self, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::User(name) => session.username == *name,
        }
    }
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Row>", into = "BTreeMap<String, Row>")]
struct Rows(BTreeMap<TokenHash, Session>);

#[derive(Serialize, Deserialize)]
struct Row {
    username: String,
    created_at: String,
    expires_at: String,
}

impl From<Rows> for BTreeMap<String, Row> {
    fn from(Rows(rows): Rows) -> Self {
        rows.into_iter().map(|(hash, session)| (hash.to_string(), Row::from(session))).collect()
    }
}

impl TryFrom<BTreeMap<String, Row>> for Rows {
    type Error = String;

    fn try_from(rows: BTreeMap<String, Row>) -> Result<Self, String> {
        let sessions = rows.into_iter().map(|(hash, row)| {
            let hash = hash.parse::<TokenHash>().map_err(|error| error.to_string())?;
            let session = Session::try_from(row).map_err(|error| error.to_string())?;
            Ok((hash, session))
        });
        sessions.collect::<Result<_, String>>().map(Self)
    }
}

impl From<Session> for Row {
    fn from(session: Session) -> Self {
        Self {
            username: session.username,
            created_at: clock::iso(session.created_at),
            expires_at: clock::iso(session.expires_at),
        }
    }
}

impl TryFrom<Row> for Session {
    type Error = InvalidTime;

    fn try_from(row: Row) -> Result<Self, InvalidTime> {
        Ok(Self {
            created_at: clock::parse_iso(&row.created_at)?,
            expires_at: clock::parse_iso(&row.expires_at)?,
            username: row.username,
        })
    }
}
