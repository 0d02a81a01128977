//! Where sessions are kept, by the hash of their token.
//!
//! Rule 1: what changes a store returns when the change would survive a crash (as far as the kind
//! of store can); it takes place whole or not at all.
//! Rule 2: a store that cannot be asked is a [`StoreError`]; `None` means that it was asked and has
//! no row. Every wait is bounded.
//! Rule 3: a row that was removed is never brought back by a change that was under way.
//!
//! It deliberately does not decide on rows: expiry, rotation and verdicts are
//! `session-keeper-tokens`' business. `tests/it/stores` holds every kind to the same behaviour.

mod columns;
mod document;
mod error;
mod file;
mod memory;
mod open;
mod postgres;
mod private;
mod redis;
mod row;
mod sqlite;
mod traits;

pub(crate) use self::redis::RedisStore;
pub use crate::config::OpenMode;
pub(crate) use document::{Document, write_private};
pub use error::StoreError;
pub(crate) use file::FileStore;
#[cfg(feature = "fuzzing")]
pub(crate) use file::Rows;
pub(crate) use memory::MemoryStore;
pub use open::{Reads, open};
pub(crate) use postgres::PostgresStore;
pub(crate) use private::{lock_file, prepare_folder};
pub(crate) use sqlite::SqliteStore;
pub(crate) use traits::blocking;
pub use traits::{AttemptKey, AttemptReset, RevokeScope, Row, Store};
