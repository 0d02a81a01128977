//! Ending sessions and forgetting attempts in a store that a server may be using.
//!
//! Rule: where nothing was there to be ended, that is said and is a failure: most likely another
//! store is meant.

use std::future::Future;
use std::sync::Arc;

use session_keeper_tokens::attempt_key;
use tokio::runtime;
use tracing::info;

use crate::clock;
use crate::command_error::CommandError;
use crate::config::StoreChoice;
use crate::logging::AUDIT;
use crate::store::{AttemptReset, OpenMode, Reads, RevokeScope, Store, StoreError, open};
use crate::users::account_key;

/// Ends sessions, and says how many tokens they had. A running server notices at its next
/// verification.
pub(super) fn revoke(choice: &StoreChoice, scope: &RevokeScope) -> Result<usize, CommandError> {
    match remove(choice, scope)? {
        0 => Err(CommandError::NothingRevoked { store: choice.clone(), scope: scope.to_string() }),
        revoked => Ok(revoked),
    }
}

/// The same for sessions that there need not be any of.
pub(super) fn remove(choice: &StoreChoice, scope: &RevokeScope) -> Result<usize, CommandError> {
    let removed = with_store(choice, async |store| {
        // What had expired was no session any more, and is not counted.
        store.clean_up(clock::system_now()).await?;
        store.remove(scope).await
    })?;
    info!(target: AUDIT, event = "revoked", scope = &*scope.to_string(), tokens = removed);
    Ok(removed)
}

/// Forgets the failed sign-ins to an account.
pub(super) fn unlock(choice: &StoreChoice, name: &str) -> Result<(), CommandError> {
    let key = attempt_key("account", &account_key(name));
    with_store(choice, async |store| store.reset_attempts(key, AttemptReset::All).await)?;
    info!(target: AUDIT, event = "unlocked", user = name);
    Ok(())
}

fn with_store<R, F: Future<Output = Result<R, StoreError>>>(
    choice: &StoreChoice,
    work: impl FnOnce(Arc<dyn Store>) -> F,
) -> Result<R, CommandError> {
    match choice {
        StoreChoice::Memory => {
            return Err(CommandError::InvalidInput(
                "a memory store belongs to its server: restart the server instead",
            ));
        }
        StoreChoice::File(path) | StoreChoice::Sqlite(path) if !path.exists() => {
            return Err(CommandError::NoStore(path.clone()));
        }
        StoreChoice::File(_)
        | StoreChoice::Sqlite(_)
        | StoreChoice::Postgres(_)
        | StoreChoice::Redis(_) => {}
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(CommandError::System)?.block_on(async {
        let store = open(choice, Reads::EachChange, OpenMode::MustExist).await?;
        work(store).await
    });
    Ok(outcome?)
}
