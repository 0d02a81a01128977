//! Whether a file is a database of ours, before anything of it is changed.
//!
//! Rule: a mistyped path changes nothing. Another program's database keeps its mode, its journal
//! and its tables, and gets no file beside it.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::errors::{ENGINE, describe};
use crate::store::StoreError;
use crate::store::private::with_suffix;

/// Stands in the header of the file (`PRAGMA application_id`): "skep" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x736b_6570;

/// Refuses another program's database. What is missing, empty or of an older version is ours.
pub(super) fn identify(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    match look(path).map_err(|error| describe(path, &error))? {
        true => Ok(()),
        false => {
            let path = path.display();
            let reason = format_args!("{path} is another program's database: name another file");
            Err(StoreError::unavailable(ENGINE, reason))
        }
    }
}

fn look(path: &Path) -> rusqlite::Result<bool> {
    let connection = connect(path)?;
    let id: i32 = connection.query_row("PRAGMA application_id", (), |row| row.get(0))?;
    if id != 0 {
        return Ok(id == APPLICATION_ID);
    }
    let tables = "SELECT count(*), count(*) FILTER (WHERE name = 'auth_tokens') \
                  FROM sqlite_schema WHERE type = 'table'";
    let (all, ours): (i64, i64) =
        connection.query_row(tables, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(all == 0 || ours == 1)
}

/// Read-only. Without a journal beside it the file is read as it is, and no journal is made.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let has_journal = fs::metadata(with_suffix(path, "-wal")).is_ok_and(|file| file.len() > 0);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if has_journal {
        return Connection::open_with_flags(path, flags);
    }
    let bytes = path.as_os_str().as_encoded_bytes();
    let escaped: String = bytes
        .iter()
        .map(|&byte| match byte {
            b'/' | b'.' | b'_' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02x}"),
        })
        .collect();
    let flags = flags | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file://{escaped}?immutable=1"), flags)
}
