//! The tables, and which version of them a database has.
//!
//! Rule 1: several processes may start at once; one of them makes the tables, the others wait.
//! Rule 2: where the tables are up to date nothing is changed, so that a user that may not make
//! tables is enough.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio_postgres::error::Error;
use tokio_postgres::{Client, GenericClient};

use super::connect::{Failure, reason};

/// Each brings the schema from the version of its place to the next.
const MIGRATIONS: [&str; 2] = [include_str!("0001.sql"), include_str!("0002.sql")];

/// A migration may have to rewrite a large table.
const WAIT: Duration = Duration::from_secs(60);

/// The number is any that nobody else takes: "session" in ASCII.
const BEGIN: &str = "SET LOCAL statement_timeout = '59s'; \
    SELECT pg_advisory_xact_lock(x'73657373696f6e'::bigint); \
    CREATE TABLE IF NOT EXISTS session_keeper_schema (version INT NOT NULL)";

pub(super) async fn prepare(pool: &Pool) -> Result<(), Failure> {
    let mut client = pool.get().await.map_err(Failure::of_pool)?;
    match tokio::time::timeout(WAIT, migrate(&mut client)).await {
        Ok(Ok(Some(_))) => Ok(()),
        Ok(Ok(None)) => Err(Failure::Refused("its tables were made by a newer version".to_owned())),
        Ok(Err(error)) => Err(Failure::Refused(reason(&error))),
        Err(_) => Err(Failure::Late("end of making its tables")),
    }
}

/// Gives the version, where it is one that is known.
async fn migrate(client: &mut Client) -> Result<Option<usize>, Error> {
    let found = known(version(client).await?);
    if found.is_none_or(|version| version == MIGRATIONS.len()) {
        return Ok(found);
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute(BEGIN).await?;
    let Some(found) = known(version(&transaction).await?) else { return Ok(None) };
    for (before, script) in MIGRATIONS.iter().enumerate().skip(found) {
        transaction.batch_execute(script).await?;
        let version = i32::try_from(before + 1).expect("there are few migrations");
        let note = "INSERT INTO session_keeper_schema (version) VALUES ($1)";
        transaction.execute(note, &[&version]).await?;
    }
    transaction.commit().await?;
    Ok(Some(MIGRATIONS.len()))
}

fn known(version: i32) -> Option<usize> {
    usize::try_from(version).ok().filter(|version| *version <= MIGRATIONS.len())
}

async fn version(of: &impl GenericClient) -> Result<i32, Error> {
    let there = "SELECT to_regclass('session_keeper_schema') IS NOT NULL";
    if !of.query_one(there, &[]).await?.try_get(0)? {
        return Ok(0);
    }
    let version = "SELECT coalesce(max(version), 0) FROM session_keeper_schema";
    of.query_one(version, &[]).await?.try_get(0)
}
