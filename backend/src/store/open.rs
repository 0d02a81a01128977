//! From a choice of store to the store, and what the log says of it.
//!
//! Rule: a store that cannot work is reported at the start; a store in memory is reported loudly.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::{FileStore, MemoryStore, PostgresStore, RedisStore, SqliteStore, Store, StoreError};
use crate::config::StoreChoice;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Again, whenever it changed.
    EachChange,
    /// At the start, and then no more: `--fault file-read-once`.
    Once,
}

/// Opens the store of `choice`.
pub async fn open(choice: &StoreChoice, reads: Reads) -> Result<Arc<dyn Store>, StoreError> {
    let store: Arc<dyn Store> = match choice {
        StoreChoice::Memory => {
            warn!(
                "Token persistence disabled: sessions are in memory only, and every restart signs \
                 everybody out; use --store sqlite:PATH"
            );
            return Ok(Arc::new(MemoryStore::default()));
        }
        StoreChoice::File(path) => Arc::new(open_file(path, reads)?),
        StoreChoice::Redis(url) => Arc::new(RedisStore::open(url).await?),
        StoreChoice::Sqlite(path) => Arc::new(SqliteStore::open(path).await?),
        StoreChoice::Postgres(url) => Arc::new(PostgresStore::open(url).await?),
    };
    let loaded = store.count().await?;
    match choice {
        StoreChoice::File(path) => {
            info!("Token persistence enabled. File: {}", path.display());
            info!("Loaded {loaded} tokens from file");
        }
        other => {
            info!("Token persistence enabled. Store: {other}");
            info!("Loaded {loaded} tokens from store");
        }
    }
    Ok(store)
}

fn open_file(path: &Path, reads: Reads) -> Result<FileStore, StoreError> {
    match reads {
        Reads::EachChange => FileStore::open(path),
        Reads::Once => FileStore::open_and_read_once(path),
    }
}
