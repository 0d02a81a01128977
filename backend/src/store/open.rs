//! From a choice of store to the store, and what the log says of it.
//!
//! Rule: a store that cannot work is reported at the start; a store in memory is reported loudly.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::{FileStore, MemoryStore, PostgresStore, RedisStore, SqliteStore, Store, StoreError};
use crate::config::{OpenMode, StoreChoice};

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Again, whenever it changed.
    EachChange,
    /// At the start, and then no more: `--fault file-read-once`.
    Once,
}

/// Opens the store of `choice`.
pub async fn open(
    choice: &StoreChoice,
    reads: Reads,
    mode: OpenMode,
) -> Result<Arc<dyn Store>, StoreError> {
    let store: Arc<dyn Store> = match choice {
        StoreChoice::Memory => {
            warn!(
                "Token persistence disabled: sessions are in memory only, and every restart signs \
                 everybody out; use --store sqlite:PATH"
            );
            return Ok(Arc::new(MemoryStore::default()));
        }
        StoreChoice::File(path) => Arc::new(open_file(path, reads, mode)?),
        StoreChoice::Redis(url) => Arc::new(RedisStore::open(url).await?),
        StoreChoice::Sqlite(path) => Arc::new(SqliteStore::open(path, mode).await?),
        StoreChoice::Postgres(url) => Arc::new(PostgresStore::open(url).await?),
    };
    let loaded = store.count().await?;
    if let StoreChoice::File(path) = choice {
        info!("Token persistence enabled. File: {}", path.display());
        info!("Loaded {loaded} tokens from file");
    } else {
        info!("Token persistence enabled. Store: {choice}");
        info!("Loaded {loaded} tokens from store");
    }
    Ok(store)
}

fn open_file(path: &Path, reads: Reads, mode: OpenMode) -> Result<FileStore, StoreError> {
    match reads {
        Reads::EachChange => FileStore::open(path, mode),
        Reads::Once => FileStore::open_and_read_once(path, mode),
    }
}
