//! A row as text stores keep it: `{ "username", "created_at", "expires_at" }` and what came later.
//!
//! Rule: what was written by an older version is read; a token of it is a session of its own.
//!
//! It deliberately does not know files or servers.

use serde::{Deserialize, Serialize};
use session_keeper_tokens::{
    Attempt, Binding, Device, InvalidHex, KeyId, Kind, Rotation, Sealed, Session, SessionId,
    TokenHash, UnixMillis,
};

use crate::clock;

/// The form of a row in a JSON document.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredRow {
    username: String,
    created_at: String,
    expires_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<StoredKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotated: Option<StoredRotation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredKind {
    Access,
    Refresh,
}

#[derive(Serialize, Deserialize)]
struct StoredRotation {
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
    successor: String,
}

impl StoredRow {
    pub(super) fn new(session: &Session) -> Self {
        let rotated = session.rotation.as_deref().map(|rotation| StoredRotation {
            at: clock::iso(rotation.at),
            attempt: rotation.attempt.map(|attempt| attempt.to_string()),
            successor: rotation.successor.to_string(),
        });
        Self {
            username: session.username.to_string(),
            created_at: clock::iso(session.created_at),
            expires_at: clock::iso(session.expires_at),
            used_at: (session.used_at > UnixMillis(0)).then(|| clock::iso(session.used_at)),
            session: Some(session.id.to_string()),
            kind: Some(match session.kind {
                Kind::Access => StoredKind::Access,
                Kind::Refresh => StoredKind::Refresh,
            }),
            device: Some(session.device.to_string()),
            bound_to: session.bound_to.as_ref().map(ToString::to_string),
            rotated,
            key: session.key.map(|key| key.to_string()),
        }
    }

    /// The reason names the field and never its value.
    pub(super) fn into_session(self, hash: &TokenHash) -> Result<Session, String> {
        let created_at = time(&self.created_at)?;
        let session = self.session.as_deref().map(str::parse::<SessionId>).transpose();
        let Ok(device) = self.device.unwrap_or_default().parse::<Device>();
        Ok(Session {
            id: session.map_err(hex)?.unwrap_or_else(|| SessionId::of_single_token(hash)),
            kind: match self.kind {
                Some(StoredKind::Access) | None => Kind::Access,
                Some(StoredKind::Refresh) => Kind::Refresh,
            },
            device,
            username: self.username.into(),
            created_at,
            expires_at: time(&self.expires_at)?,
            used_at: self.used_at.as_deref().map_or(Ok(UnixMillis(0)), time)?,
            bound_to: match self.bound_to {
                Some(text) => Some(Box::new(text.parse::<Binding>().map_err(hex)?)),
                None => None,
            },
            rotation: self.rotated.map(StoredRotation::into_rotation).transpose()?.map(Box::new),
            key: self.key.as_deref().map(str::parse::<KeyId>).transpose().map_err(hex)?,
        })
    }
}

impl StoredRotation {
    fn into_rotation(self) -> Result<Rotation, String> {
        let attempt = self.attempt.as_deref().map(str::parse::<Attempt>).transpose();
        Ok(Rotation {
            at: time(&self.at)?,
            attempt: attempt.map_err(hex)?,
            successor: self.successor.parse::<Sealed>().map_err(hex)?,
        })
    }
}

/// `None`: it cannot be understood.
pub(super) fn read(hash: &TokenHash, text: &str) -> Option<Session> {
    serde_json::from_str::<StoredRow>(text).ok()?.into_session(hash).ok()
}

pub(super) fn time(text: &str) -> Result<UnixMillis, String> {
    clock::parse_iso(text).map_err(|error| error.to_string())
}

fn hex(error: InvalidHex) -> String {
    error.to_string()
}
