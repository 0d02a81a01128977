//! What SQLite says, in our words.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::store::StoreError;

pub(super) const ENGINE: &str = "SQLite";

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked),
        None => false,
    }
}

/// The code only: SQLite's own text may quote a statement.
pub(super) fn describe(path: &Path, error: &rusqlite::Error) -> StoreError {
    let shown = path.display();
    let Some(code) = error.sqlite_error_code() else {
        return StoreError::corrupt(ENGINE, format_args!("{shown} has columns of other types"));
    };
    if is_busy(error) {
        return StoreError::Busy { path: path.to_owned() };
    }
    if matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) {
        return StoreError::unavailable(
            ENGINE,
            format_args!(
                "{shown} is damaged or no database: repair a copy by `sqlite3 {shown} .recover`, \
                 or move it away and everybody signs in again"
            ),
        );
    }
    let extended = error.sqlite_error().map_or(ffi::SQLITE_ERROR, |error| error.extended_code);
    StoreError::unavailable(ENGINE, format_args!("{shown}: {}", ffi::code_to_str(extended)))
}
