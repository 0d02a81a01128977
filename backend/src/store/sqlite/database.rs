//! One SQLite database as it is open: its connections, its schema, and which file it is.
//!
//! Rule 1: the file and what SQLite makes beside it are their owner's only.
//! Rule 2: a file that is damaged, of a newer version or not there any more is an error, and never
//! replaced by an empty one: whoever is signed in would be signed out.
//!
//! It deliberately does not know what a row means.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::errors::{ENGINE, describe};
use super::identify::APPLICATION_ID;
use super::import;
use crate::store::private::{self, FILE_MODE, with_suffix};
use crate::store::{OpenMode, StoreError};

/// How long another process may hold the database.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(2);

/// How long writers of this process wait for each other.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// As many reads happen at once as the runtime has threads. What a burst of listings opened beyond
/// that is closed again.
const IDLE_READERS: usize = 16;

/// What a burst of writes leaves of the journal: SQLite would keep its greatest size for ever.
const JOURNAL_BYTES: i64 = 16 << 20;

/// Each brings the schema from the version of its place to the next.
const MIGRATIONS: [&str; 2] = [include_str!("0001.sql"), include_str!("0002.sql")];

/// A database that is open.
pub(super) struct Database {
    path: PathBuf,
    files: Files,
    readers: std::sync::Mutex<Vec<Connection>>,
    writer: Arc<Mutex<Connection>>,
    /// Something that SQLite said means that these connections are of no use any more.
    suspect: AtomicBool,
}

impl Database {
    pub(super) fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| describe(path, &error);
        match mode {
            OpenMode::CreateIfMissing => private::prepare_folder(path)?,
            // Before the lock, which would be left in a folder that is not ours.
            OpenMode::MustExist => drop(Identity::of(path)?),
        }
        // Without it, two processes that start together would switch to the journal of rule 1 at
        // once, which SQLite refuses to one of them.
        let _lock = private::lock(path)?;
        if mode == OpenMode::CreateIfMissing {
            make_file(path)?;
        }
        for suffix in ["", "-wal", "-shm"] {
            private::narrow_file_mode(&with_suffix(path, suffix))?;
        }
        let file = Identity::of(path)?;
        let mut writer = connect(path).map_err(failed)?;
        mark_new(&writer, path).map_err(failed)?;
        prepare_writer(&writer).map_err(failed)?.check(path)?;
        migrate(&mut writer, path, mode)?;
        let journal = Identity::of(&with_suffix(path, "-wal")).ok();
        Ok(Self {
            path: path.to_owned(),
            files: Files { file, journal },
            readers: std::sync::Mutex::default(),
            writer: Arc::new(Mutex::new(writer)),
            suspect: AtomicBool::new(false),
        })
    }

    pub(super) fn identity(&self) -> Identity {
        self.files.file
    }

    pub(super) fn files(&self) -> Files {
        self.files
    }

    /// Whether it must be opened again.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Looks with one of the connections for it, and waits at most `wait` where another process
    /// holds the whole database.
    pub(super) fn read<R>(
        &self,
        wait: Duration,
        look: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        let idle = self.readers().pop();
        let connection = idle.map_or_else(|| self.connect_reader(), Ok)?;
        connection.busy_timeout(wait)?;
        let outcome = look(&connection);
        let mut readers = self.readers();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        outcome
    }

    /// The turn of a writer.
    pub(super) async fn writer(&self) -> Result<OwnedMutexGuard<Connection>, StoreError> {
        let turn = Arc::clone(&self.writer).lock_owned();
        let turn = tokio::time::timeout(TURN_WAIT, turn).await;
        turn.map_err(|_| StoreError::Busy { path: self.path.clone() })
    }

    /// Changes it, whole or not at all. On disk when this returns.
    pub(super) fn change<R>(
        writer: &mut Connection,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcome = change(&transaction)?;
        transaction.commit()?;
        Ok(outcome)
    }

    /// The error for whoever asked, after a look at what it means for these connections.
    pub(super) fn failed(&self, error: &rusqlite::Error) -> StoreError {
        let is_lost = match error.sqlite_error_code() {
            Some(code) => matches!(
                code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
            ),
            None => false,
        };
        if is_lost {
            self.suspect.store(true, Ordering::Relaxed);
        }
        describe(&self.path, error)
    }

    fn connect_reader(&self) -> rusqlite::Result<Connection> {
        let connection = connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        // The path may have become another file since the last look.
        if Identity::of(&self.path).ok() != Some(self.files.file) {
            let code = ffi::Error::new(ffi::SQLITE_CANTOPEN);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        Ok(connection)
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A connection is in it or not: a panic elsewhere leaves nothing half done.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which file it is, whatever its name. The number is nobody else's while the file is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let metadata = fs::metadata(path).map_err(|source| StoreError::io("read", path, source))?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// The files of a database.
#[derive(Clone, Copy)]
pub(super) struct Files {
    file: Identity,
    journal: Option<Identity>,
}

impl Files {
    /// Where another database was put in this one's place and the journal was forgotten: SQLite
    /// would write this one's pages into the other.
    pub(super) fn drop_journal_of_replaced(&self, path: &Path) -> Result<(), StoreError> {
        if Identity::of(path)? == self.file {
            return Ok(());
        }
        let _lock = private::lock(path)?;
        let journal = Identity::of(&with_suffix(path, "-wal")).ok();
        if journal.is_some() && journal == self.journal { drop_journal(path) } else { Ok(()) }
    }
}

/// SQLite gives what it makes beside the file the mode of the file.
fn make_file(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io("read", path, error)),
    }
    // Of a database that was deleted without it.
    drop_journal(path)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    made.map(drop).map_err(|source| StoreError::io("make", path, source))
}

fn drop_journal(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm"] {
        let file = with_suffix(path, suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &file, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Never makes a file: where there is none, it is gone.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(connection)
}

/// The kind of journal that a database has.
struct Journal(String);

impl Journal {
    fn check(&self, path: &Path) -> Result<(), StoreError> {
        if self.0 == "wal" {
            return Ok(());
        }
        let path = path.display();
        Err(StoreError::unavailable(
            ENGINE,
            format_args!("{path} is on a file system without shared memory: put it on a local one"),
        ))
    }
}

/// Says whose it is in the header of a file that has none yet: before the journal of rule 1, in
/// which it would stand until the first checkpoint.
fn mark_new(writer: &Connection, path: &Path) -> rusqlite::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        writer.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(())
}

fn prepare_writer(writer: &Connection) -> rusqlite::Result<Journal> {
    let journal = writer.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    // Without a sync of each commit, a power cut would take acknowledged sign-ins back, and
    // sign-outs too.
    writer.pragma_update(None, "synchronous", "full")?;
    writer.pragma_update_and_check(None, "journal_size_limit", JOURNAL_BYTES, |_| Ok(()))?;
    Ok(Journal(journal))
}

fn migrate(writer: &mut Connection, path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| describe(path, &error);
    let version_before = version(writer, path)?;
    if version_before == MIGRATIONS.len() {
        import::warn_of_ignored(path);
        return Ok(());
    }
    if version_before == 0 && mode == OpenMode::MustExist {
        let path = path.display();
        let reason = format_args!("{path} is empty, and was not: put the database back");
        return Err(StoreError::unavailable(ENGINE, reason));
    }
    let transaction =
        writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let version = version(&transaction, path)?;
    for script in &MIGRATIONS[version..] {
        transaction.execute_batch(script).map_err(failed)?;
    }
    let imported = if version == 0 { import::import(&transaction, path)? } else { None };
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    let latest = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    transaction.pragma_update(None, "user_version", latest).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    if let Some(imported) = imported {
        imported.finish();
    }
    Ok(())
}

fn version(of: &Connection, path: &Path) -> Result<usize, StoreError> {
    let version: i64 = of
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(|error| describe(path, &error))?;
    let known = usize::try_from(version).ok().filter(|version| *version <= MIGRATIONS.len());
    known.ok_or_else(|| {
        let path = path.display();
        StoreError::unavailable(
            ENGINE,
            format_args!("{path} was made by a newer version: start that, or name another file"),
        )
    })
}
