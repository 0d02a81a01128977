//! The subcommands, from parsed options to done or a reason.
//!
//! Rule: stdout carries what a script would read, stderr what a person would; an error says what to
//! do.

mod accounts;
mod check;
mod server;
mod tokens;

use crate::clock;
use crate::command_error::CommandError;
use crate::config::{Command, KeyCommand, TokenCommand, UpstreamCommand, UserCommand};
use crate::store::RevokeScope;
use crate::{keys, logging, upstream};

/// Does what the command says.
pub fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(options) => {
            let _log = logging::start(&options.watching).map_err(CommandError::AuditFile)?;
            server::run(&options)
        }
        Command::Init(options) => {
            let _log = logging::start_for_a_command().map_err(CommandError::AuditFile)?;
            server::init(&options)
        }
        Command::Check { port } => check::check(port),
        Command::User(command) => {
            let _log = logging::start_for_a_command().map_err(CommandError::AuditFile)?;
            change_users(command)
        }
        Command::Token(TokenCommand::Revoke { user, all: _, allow_none, store }) => {
            let _log = logging::start_for_a_command().map_err(CommandError::AuditFile)?;
            let scope = user.map_or(RevokeScope::All, RevokeScope::User);
            let revoked = if allow_none {
                tokens::remove(&store.store, &scope)?
            } else {
                tokens::revoke(&store.store, &scope)?
            };
            println!("revoked {revoked}");
            Ok(())
        }
        Command::Key(KeyCommand::Rotate { key_file }) => {
            if !key_file.exists() {
                return Err(CommandError::NoKeys(key_file));
            }
            let _log = logging::start_for_a_command().map_err(CommandError::AuditFile)?;
            let older = keys::rotate(&key_file, clock::system_now())?;
            println!("rotated: {older} older keys stay good until their tokens expire");
            Ok(())
        }
        Command::Upstream(UpstreamCommand::Clear(options)) => {
            let _log = logging::start_for_a_command().map_err(CommandError::AuditFile)?;
            let (path, was_there) = upstream::clear(&options).map_err(CommandError::Settings)?;
            println!("{} {path}", if was_there { "cleared" } else { "nothing to clear at" });
            Ok(())
        }
    }
}

fn change_users(command: UserCommand) -> Result<(), CommandError> {
    match command {
        UserCommand::Add { name, users, password, replace } => {
            accounts::add(&users.users, &name, &password, replace)
        }
        UserCommand::SetPassword { name, users, store, password, keep_sessions } => {
            let scope = if keep_sessions { None } else { Some(&store.store) };
            accounts::set_password(&users.users, &name, &password, scope)
        }
        UserCommand::Remove { name, users, store } => {
            accounts::remove(&users.users, &name, &store.store)
        }
        UserCommand::List { users } => accounts::list(&users.users),
        UserCommand::Unlock { name, users, store } => {
            accounts::unlock(&users.users, &name, &store.store)
        }
    }
}
