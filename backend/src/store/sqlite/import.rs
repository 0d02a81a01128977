//! What the version before kept in a file, taken over once.
//!
//! Rule: whoever was signed in before an upgrade is so after it. The file is renamed then: taken
//! over again by a database that is created again, it would bring ended sessions back to life.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tracing::{info, warn};

use super::errors::describe;
use super::rows::insert;
use crate::clock;
use crate::store::StoreError;
use crate::store::columns::Columns;
use crate::store::document::COPY;
use crate::store::file::Rows;
use crate::store::private::{self, folder_of, with_suffix};

const FILE: &str = "auth_tokens.json";

/// Rows that are taken over when the transaction is committed.
pub(super) struct Imported {
    file: PathBuf,
    count: usize,
    /// Until the file is renamed: what a server that runs on the file acknowledged after it was
    /// read here would be lost.
    _lock: File,
}

/// Spawn over the rows of the file beside `database`, if there is one. One that cannot be read is
/// an error: to begin with nothing would sign everybody out.
pub(super) fn import(on: &Connection, database: &Path) -> Result<Option<Imported>, StoreError> {
    let file = folder_of(database).join(FILE);
    let failed = |source: io::Error| StoreError::io("take over", &file, source);
    if !file.try_exists().map_err(failed)? {
        return Ok(None);
    }
    let lock = private::lock(&file)?;
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let Rows { known, odd } = serde_json::from_slice(&bytes).map_err(|error| {
        // Position and category only: serde's own text may quote what is in the file.
        let reason = format!(
            "{:?} error at line {}: repair it or move it away",
            error.classify(),
            error.line()
        );
        failed(io::Error::new(io::ErrorKind::InvalidData, reason))
    })?;
    if !odd.is_empty() {
        let reason = format!("{} rows cannot be understood: repair or delete them", odd.len());
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, reason)));
    }
    let now = clock::system_now();
    let mut count = 0;
    for (hash, session) in known.iter().filter(|(_, session)| !session.is_stale(now)) {
        insert(on, &Columns::new(hash, session)).map_err(|error| describe(database, &error))?;
        count += 1;
    }
    Ok(Some(Imported { file, count, _lock: lock }))
}

/// After a rollback and a second upgrade there is a file again, and whoever signed in meanwhile is
/// in it only. Taken over into a database with newer rows, it would bring ended sessions back.
pub(super) fn warn_of_ignored(database: &Path) {
    let file = folder_of(database).join(FILE);
    if file.exists() {
        let (file, database) = (file.display(), database.display());
        warn!("{file} is not read: {database} is in use; move the file away");
    }
}

impl Imported {
    pub(super) fn finish(self) {
        info!("Loaded {} tokens from file", self.count);
        let aside = with_suffix(&self.file, ".imported");
        // It serves the file, and what stays would only be taken for something newer.
        let _ = fs::remove_file(with_suffix(&self.file, COPY));
        match fs::rename(&self.file, &aside) {
            Ok(()) => info!("{} is taken over: renamed to {FILE}.imported", self.file.display()),
            Err(error) => warn!("cannot rename {}: {error}: delete it", self.file.display()),
        }
    }
}
