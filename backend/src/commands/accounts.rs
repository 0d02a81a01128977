//! The users: added, changed, listed, removed.
//!
//! Rule: a user who is removed, or whose password was changed, has no session any more, unless the
//! operator says otherwise. The file comes first: a session that began in between has no user.

use std::io::{self, Read};
use std::path::Path;

use tracing::info;

use super::tokens;
use crate::command_error::CommandError;
use crate::config::{PasswordOptions, StoreChoice};
use crate::logging::AUDIT;
use crate::store::RevokeScope;
use crate::users::{self, Added, Existing, UserName};

/// A password over this is a file piped in by mistake.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// NIST SP 800-63B section 3.1.1.2 with a second factor, ASVS 6.2.1; more is better.
const MIN_PASSWORD_CHARS: usize = 8;

pub(super) fn add(
    path: &Path,
    name: &str,
    password: &PasswordOptions,
    replace: bool,
) -> Result<(), CommandError> {
    let name = UserName::parse(name).map_err(CommandError::InvalidInput)?;
    let password = get_password(password)?;
    let existing = if replace { Existing::Replace } else { Existing::Keep };
    match users::add(path, name, &password, existing)? {
        Added::New => println!("added"),
        Added::Replaced => {
            println!("replaced");
            eprintln!("the sessions go on: `token revoke --user NAME` ends them");
        }
        Added::ExistsAlready => return Err(CommandError::UserExists),
    }
    Ok(())
}

/// `store`: where the user's sessions are ended.
pub(super) fn set_password(
    path: &Path,
    name: &str,
    password: &PasswordOptions,
    store: Option<&StoreChoice>,
) -> Result<(), CommandError> {
    // Before a password is asked for.
    if users::find(path, name)?.is_none() {
        return Err(CommandError::NoSuchUser(path.to_owned()));
    }
    let password = get_password(password)?;
    let name = users::set_password(path, name, &password)?;
    let name = name.ok_or_else(|| CommandError::NoSuchUser(path.to_owned()))?;
    info!(target: AUDIT, event = "password_changed", user = &*name);
    println!("changed");
    match store {
        Some(store) => end_sessions(store, name),
        None => Ok(()),
    }
}

pub(super) fn remove(path: &Path, name: &str, store: &StoreChoice) -> Result<(), CommandError> {
    let name = users::remove(path, name)?;
    let name = name.ok_or_else(|| CommandError::NoSuchUser(path.to_owned()))?;
    info!(target: AUDIT, event = "user_removed", user = &*name);
    println!("removed");
    end_sessions(store, name)
}

pub(super) fn list(path: &Path) -> Result<(), CommandError> {
    users::list(path)?.iter().for_each(|name| println!("{name}"));
    Ok(())
}

pub(super) fn unlock(path: &Path, name: &str, store: &StoreChoice) -> Result<(), CommandError> {
    let name = users::find(path, name)?;
    let name = name.ok_or_else(|| CommandError::NoSuchUser(path.to_owned()))?;
    tokens::unlock(store, &name)?;
    println!("unlocked");
    Ok(())
}

/// There need not be any. Where the store cannot be told, the user's change has taken place all the
/// same, and that is said.
fn end_sessions(store: &StoreChoice, name: String) -> Result<(), CommandError> {
    match tokens::remove(store, &RevokeScope::User(name)) {
        Ok(ended) => {
            println!("ended {ended}");
            Ok(())
        }
        Err(error) => Err(CommandError::SessionsGoOn(error.to_string())),
    }
}

fn get_password(options: &PasswordOptions) -> Result<String, CommandError> {
    let password = if options.password_stdin { read_password()? } else { ask_password()? };
    if password.is_empty() {
        return Err(CommandError::InvalidInput("the password is empty: give one"));
    }
    if password.chars().count() < MIN_PASSWORD_CHARS && !options.allow_weak_password {
        return Err(CommandError::InvalidInput(
            "the password is under 8 characters: give a longer one, or --allow-weak-password for \
             a demo",
        ));
    }
    Ok(password)
}

/// The first line of stdin, or all of it where it has no line end.
fn read_password() -> Result<String, CommandError> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_PASSWORD_BYTES + 1);
    let length = stdin.read_to_string(&mut text).map_err(CommandError::Password)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_PASSWORD_BYTES) {
        return Err(CommandError::InvalidInput(
            "the password is over 4096 bytes: use a shorter one",
        ));
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn ask_password() -> Result<String, CommandError> {
    let password = rpassword::prompt_password("Password: ").map_err(CommandError::Password)?;
    let again = rpassword::prompt_password("Once more: ").map_err(CommandError::Password)?;
    if password != again {
        return Err(CommandError::InvalidInput("the two passwords differ: try again"));
    }
    Ok(password)
}
