//! What PostgreSQL is asked.
//!
//! Rule: whoever reads is also told whether the server is a standby, in the same statement and so
//! at the same moment: what it says may be late, and a token that it does not know yet is valid.
//! Each statement that reads gives a row for that, also where there is none. What changes needs
//! nothing of it: a standby refuses it.
//!
//! It deliberately does not know what is done with an answer.

use super::super::columns::columns;

/// The column that tells it.
pub(super) const IN_RECOVERY: &str = "in_recovery";

macro_rules! rows_where {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", pg_is_in_recovery() AS in_recovery FROM (VALUES (1)) AS always \
             LEFT JOIN auth_tokens ON ",
            $condition
        )
    };
}
pub(super) const FIND: &str = rows_where!("token = $1");
pub(super) const OF_USER: &str = rows_where!("username = $1");
pub(super) const COUNT: &str =
    "SELECT count(*), pg_is_in_recovery() AS in_recovery FROM auth_tokens";

macro_rules! rows {
    ($parameter:literal) => {
        concat!(
            "INSERT INTO auth_tokens (",
            columns!(),
            ") SELECT ",
            columns!(),
            " FROM json_populate_recordset(NULL::auth_tokens, ",
            $parameter,
            "::text::json)"
        )
    };
}
pub(super) const INSERT: &str = concat!(rows!("$1"), " ON CONFLICT (token) DO NOTHING");

/// The last line answers for a first try whose answer was lost: whether it took place shows in the
/// successor, which is no other try's.
pub(super) const ROTATE: &str = concat!(
    "WITH rotated AS (\
         UPDATE auth_tokens SET rotated_at = $1, rotated_by = $2, successor = $3 \
         WHERE token = $4 AND rotated_at IS NULL RETURNING 1), \
     kept AS (",
    rows!("$5"),
    " WHERE EXISTS (SELECT FROM rotated) ON CONFLICT (token) DO NOTHING) \
     SELECT EXISTS (SELECT FROM rotated) \
         OR ($6 AND EXISTS (SELECT FROM auth_tokens WHERE token = $4 AND successor = $3))"
);

macro_rules! counted {
    ($delete:expr) => {
        concat!("WITH gone AS (", $delete, " RETURNING 1) SELECT count(*) FROM gone")
    };
}
pub(super) const REMOVE_USER: &str = counted!("DELETE FROM auth_tokens WHERE username = $1");
pub(super) const REMOVE_SESSION: &str = counted!("DELETE FROM auth_tokens WHERE session = $1");

/// What another process is deleting is left to it: two that wait for each other's rows would be a
/// deadlock. By their place: by their keys, a plan from when there were few rows compares each row
/// with each of these (3.4 s among 100,000).
pub(super) const CLEAN: &str = counted!(
    "DELETE FROM auth_tokens WHERE ctid = ANY (ARRAY(\
     SELECT ctid FROM auth_tokens WHERE expires <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))"
);
pub(super) const CLEAN_ATTEMPTS: &str = counted!(
    "DELETE FROM login_attempts WHERE ctid = ANY (ARRAY(\
     SELECT ctid FROM login_attempts WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))"
);

/// Without parameters, for the one statement that may take longer.
pub(super) const REMOVE_ALL: &str =
    "BEGIN; SET LOCAL statement_timeout = '59s'; DELETE FROM auth_tokens; COMMIT";
