//! Rows to keep. Each has a hash of its own, and each user a name of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_keeper_backend::store::{Row, Store};
use session_keeper_backend::tokens::{
    Attempt, Device, Lifetime, Rotation, Sealed, Session, SessionId, Token, TokenHash, UnixMillis,
};

/// 2030: no store may take the time from the system.
pub(super) const NOW: UnixMillis = UnixMillis(1_900_000_000_000);

pub(super) fn after(seconds: u64) -> UnixMillis {
    NOW.after(Duration::from_secs(seconds))
}

pub(super) fn token() -> Token {
    Token::from_random(unique())
}

pub(super) fn hash() -> TokenHash {
    token().hash()
}

pub(super) fn name() -> String {
    format!("ada-{}", &hash().to_string()[..16])
}

/// A new session's, for an hour from [`NOW`].
pub(super) fn row(username: &str) -> Row {
    let mut id = [0; 16];
    id.copy_from_slice(&hash().as_bytes()[..16]);
    let lifetime = Lifetime::from_secs(3600).expect("it is within bounds");
    (hash(), Session::begin(SessionId::from(id), username, Device::default(), NOW, lifetime))
}

/// Another token of the same session.
pub(super) fn sibling((_, session): &Row) -> Row {
    (hash(), session.sibling(session.kind, session.expires_at))
}

pub(super) fn rotation(attempt: Option<&str>) -> Rotation {
    let attempt = attempt.map(|text| Attempt::parse(text).expect("it is long enough"));
    Rotation { at: after(30), attempt, successor: Sealed::from(unique()) }
}

pub(super) async fn find(store: &dyn Store, hash: TokenHash) -> Option<Session> {
    store.find(hash).await.expect("the store can be asked")
}

pub(super) async fn insert(store: &dyn Store, rows: &[Row]) {
    store.insert(rows, NOW).await.expect("the store takes rows");
}

fn unique() -> [u8; 32] {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&TAKEN.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    bytes
}
