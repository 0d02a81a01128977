//! One row, read and written.

use rusqlite::{Connection, OptionalExtension, ToSql};
use session_keeper_tokens::TokenHash;

use crate::store::columns::{self, Columns, columns};

const INSERT: &str = concat!(
    "INSERT INTO auth_tokens (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
     ON CONFLICT (token) DO NOTHING"
);
pub(super) fn find(from: &Connection, hash: &TokenHash) -> rusqlite::Result<Option<Columns>> {
    from.prepare_cached(columns::FIND)?.query_row([hash.to_string()], from_row).optional()
}

pub(super) fn insert(on: &Connection, row: &Columns) -> rusqlite::Result<()> {
    let values: [&dyn ToSql; 13] = [
        &row.token,
        &row.username,
        &row.expires,
        &row.created,
        &row.used,
        &row.session,
        &row.kind,
        &row.device,
        &row.bound_to,
        &row.rotated_at,
        &row.rotated_by,
        &row.successor,
        &row.key_id,
    ];
    on.prepare_cached(INSERT)?.execute(values).map(drop)
}

pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns {
        token: row.get(0)?,
        username: row.get(1)?,
        expires: row.get(2)?,
        created: row.get(3)?,
        used: row.get(4)?,
        session: row.get(5)?,
        kind: row.get(6)?,
        device: row.get(7)?,
        bound_to: row.get(8)?,
        rotated_at: row.get(9)?,
        rotated_by: row.get(10)?,
        successor: row.get(11)?,
        key_id: row.get(12)?,
    })
}
