//! The command line and the environment, parsed into values that need no second look.
//!
//! Rule: what is wrong is refused here, with a sentence that names the setting and says what would
//! be right.

mod check;
mod defaults;
mod env_file;
mod serve;
mod upstream;
mod values;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use check::InvalidSettings;
pub(crate) use check::check;
pub(crate) use env_file::variable;
pub use serve::{LimitOptions, LogFormat, SameSite, ServeOptions, TokenOptions, WatchOptions};
pub use upstream::{ClientAuth, ClientCredentials, UpstreamOptions};
pub use values::{Fault, JwtAlgorithm, Listen, OpenMode, Origin, StoreChoice};

use defaults::{DEFAULT_KEYS, DEFAULT_STORE, DEFAULT_USERS};

/// The reference backend of session-keeper.
///
/// Give passwords and other secrets in the environment, in --env-file or on stdin: what stands in
/// arguments is shown to every user of the machine (ps), and kept in the shell's history.
#[derive(Debug, Parser)]
#[command(name = "session-keeper-backend", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// A file of settings: NAME=value lines with the variables of the options ([env: …]); the
    /// environment and the command line go before it
    #[arg(long, value_name = "PATH", global = true, env = env_file::VARIABLE)]
    pub env_file: Option<PathBuf>,
}

impl Options {
    /// The arguments of this process, with what a file of settings says. Ends the process where
    /// they cannot be understood.
    pub fn of_process() -> Self {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let mut command = Self::command();
        if let Some(path) = env_file::path_in(&arguments) {
            command = match env_file::apply(command, Path::new(&path)) {
                Ok(command) => command,
                Err(sentence) => {
                    let kind = clap::error::ErrorKind::Io;
                    Self::command().error(kind, format!("{}: {sentence}", env_file::OPTION)).exit()
                }
            };
        }
        let matches = command.get_matches_from(arguments);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API until SIGTERM
    Serve(Box<ServeOptions>),
    /// Make the store, the key and the file of users where there are none, and end: for the first
    /// start of a server with --store-must-exist
    Init(Box<ServeOptions>),
    /// Ask a server on this machine whether it is ready (/api/ready): for health checks of
    /// containers
    Check {
        /// The server's port on 127.0.0.1
        #[arg(long, value_name = "PORT", env = "PORT", default_value_t = 8000)]
        port: u16,
    },
    /// Change who may sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Change what is signed in
    #[command(subcommand)]
    Token(TokenCommand),
    /// Change what tokens are signed with
    #[command(subcommand)]
    Key(KeyCommand),
    /// Change the token for the API behind this server
    #[command(subcommand)]
    Upstream(UpstreamCommand),
}

/// Where users are.
#[derive(Debug, Clone, Args)]
pub struct UsersOption {
    /// The file of users
    #[arg(long, value_name = "PATH", env = "USERS_FILE", default_value = DEFAULT_USERS)]
    pub users: PathBuf,
}

/// Where sessions are.
#[derive(Debug, Clone, Args)]
pub struct StoreOption {
    /// Where sessions are kept, as for `serve`
    #[arg(long, value_name = "STORE", env = "TOKEN_STORE", default_value = DEFAULT_STORE)]
    #[arg(hide_env_values = true)]
    pub store: StoreChoice,
}

/// How a password is given.
#[derive(Debug, Clone, Args)]
pub struct PasswordOptions {
    /// Read the password from stdin instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
    /// Take a password under 8 characters, for demos and tests
    #[arg(long)]
    pub allow_weak_password: bool,
}

/// Change who may sign in.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user
    Add {
        /// The name to sign in with
        name: String,
        /// Where users are.
        #[command(flatten)]
        users: UsersOption,
        /// The password.
        #[command(flatten)]
        password: PasswordOptions,
        /// Give a user who exists another password; the sessions go on
        #[arg(long)]
        replace: bool,
    },
    /// Give a user another password, and end the user's sessions
    SetPassword {
        /// The name to sign in with
        name: String,
        /// Where users are.
        #[command(flatten)]
        users: UsersOption,
        /// Where sessions are.
        #[command(flatten)]
        store: StoreOption,
        /// The password.
        #[command(flatten)]
        password: PasswordOptions,
        /// Let the sessions go on
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Take a user out, and end the user's sessions
    Remove {
        /// The name to sign in with
        name: String,
        /// Where users are.
        #[command(flatten)]
        users: UsersOption,
        /// Where sessions are.
        #[command(flatten)]
        store: StoreOption,
    },
    /// Print the names of all users
    List {
        /// Where users are.
        #[command(flatten)]
        users: UsersOption,
    },
    /// Forget the failed sign-ins to an account
    Unlock {
        /// The name to sign in with
        name: String,
        /// Where users are.
        #[command(flatten)]
        users: UsersOption,
        /// Where sessions are.
        #[command(flatten)]
        store: StoreOption,
    },
}

/// Change what is signed in.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// End sessions; a running server notices at the next verification
    #[command(group = clap::ArgGroup::new("scope").required(true))]
    Revoke {
        /// This user's sessions
        #[arg(long, value_name = "NAME", group = "scope")]
        user: Option<String>,
        /// Everybody's sessions
        #[arg(long, group = "scope")]
        all: bool,
        /// Succeed also where there is no such session
        #[arg(long)]
        allow_none: bool,
        /// Where sessions are.
        #[command(flatten)]
        store: StoreOption,
    },
}

/// Change what tokens are signed with.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Sign with a new key from now on; tokens of the older ones stay good until they expire
    Rotate {
        /// The file of keys, as for `serve`
        #[arg(long, value_name = "PATH", env = "KEY_FILE", default_value = DEFAULT_KEYS)]
        key_file: PathBuf,
    },
}

/// Change the token for the API behind this server.
#[derive(Debug, Subcommand)]
pub enum UpstreamCommand {
    /// Forget the token that is kept on disk; a running server gets another one at its next request
    Clear(UpstreamOptions),
}
