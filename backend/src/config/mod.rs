//! The command line and the environment, parsed into values that need no second look.
//!
//! Rule: what is wrong is refused here, with a sentence that names the setting and says what would
//! be right.

mod check;
mod serve;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use check::InvalidSettings;
pub(crate) use check::check;
pub use serve::{LimitOptions, LogFormat, SameSite, ServeOptions, TokenOptions, WatchOptions};
pub use values::{Fault, JwtAlgorithm, Origin, StoreChoice};

const DEFAULT_STORE: &str = "sqlite:data/auth_tokens.sqlite";
const DEFAULT_USERS: &str = "data/users.json";
const DEFAULT_TAGS: &str = "data/tags.json";
const DEFAULT_KEYS: &str = "data/keys.json";

/// The reference backend of session-keeper.
#[derive(Debug, Parser)]
#[command(name = "session-keeper-backend", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API until SIGTERM
    Serve(Box<ServeOptions>),
    /// Change who may sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Change what is signed in
    #[command(subcommand)]
    Token(TokenCommand),
    /// Change what tokens are signed with
    #[command(subcommand)]
    Key(KeyCommand),
}

/// Change who may sign in.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user
    Add {
        /// The name to sign in with
        name: String,
        /// The file of users
        #[arg(long, value_name = "PATH", default_value = DEFAULT_USERS)]
        users: PathBuf,
        /// Read the password from stdin instead of asking for it
        #[arg(long)]
        password_stdin: bool,
        /// Give a user who exists another password
        #[arg(long)]
        replace: bool,
    },
}

/// Change what is signed in.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// End sessions; a running server notices at the next verification
    #[command(group = clap::ArgGroup::new("whose").required(true))]
    Revoke {
        /// This user's sessions
        #[arg(long, value_name = "NAME", group = "whose")]
        user: Option<String>,
        /// Everybody's sessions
        #[arg(long, group = "whose")]
        all: bool,
        /// Where sessions are kept, as for `serve`
        #[arg(long, value_name = "STORE", env = "TOKEN_STORE", default_value = DEFAULT_STORE)]
        #[arg(hide_env_values = true)]
        store: StoreChoice,
    },
}

/// Change what tokens are signed with.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Sign with a new key from now on; tokens of the older ones stay good until they expire
    Rotate {
        /// The file of keys, as for `serve`
        #[arg(long, value_name = "PATH", default_value = DEFAULT_KEYS)]
        key_file: PathBuf,
    },
}
