//! The subcommands, from parsed options to done or a reason.
//!
//! Rule: stdout carries what a script would read, stderr what a person would; an error says what to
//! do.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime;

use crate::app::{Backend, app};
use crate::clock::{self, Clock};
use crate::config::{Command, ServeOptions, StoreChoice, TokenCommand, UserCommand};
use crate::serve::serve;
use crate::store::{FileStore, StoreError, Whose};
use crate::users::{self, Added, Existing, OpenError, UserName};

/// A password over this is a file piped in by mistake.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// Does what the command says.
pub fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(options) => run_server(&options),
        Command::User(UserCommand::Add { name, users, password_stdin, replace }) => {
            let name = UserName::parse(&name).map_err(CommandError::InvalidInput)?;
            let password = if password_stdin { read_password()? } else { ask_password()? };
            let existing = if replace { Existing::Replace } else { Existing::Keep };
            match users::add(&users, name, &password, existing)? {
                Added::New => println!("added"),
                Added::Replaced => println!("replaced"),
                Added::ExistsAlready => return Err(CommandError::UserExists),
            }
            Ok(())
        }
        Command::Token(TokenCommand::Revoke { user, all: _, store }) => {
            let whose = user.map_or(Whose::All, Whose::User);
            let StoreChoice::File(path) = store else {
                return Err(CommandError::InvalidInput(
                    "a memory store belongs to its server: restart the server instead",
                ));
            };
            if !path.exists() {
                return Err(CommandError::NoStore(path));
            }
            let revoked = FileStore::open(&path)?.revoke(&whose, clock::system_now())?;
            println!("revoked {revoked}");
            Ok(())
        }
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub enum CommandError {
    /// An argument or a password is wrong; the sentence says how.
    InvalidInput(&'static str),
    /// There is such a user.
    UserExists,
    /// There is no such file of sessions.
    NoStore(PathBuf),
    /// A file cannot be used; the sentence says which.
    Store(String),
    /// No password could be read.
    Password(io::Error),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The system gives no random bytes, threads or signals.
    System(io::Error),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput(sentence) => f.write_str(sentence),
            Self::UserExists => {
                f.write_str("there is such a user: use --replace to change the password")
            }
            Self::NoStore(path) => {
                let path = path.display();
                write!(f, "{path} does not exist: name the server's store with --store file:PATH")
            }
            Self::Store(sentence) => f.write_str(sentence),
            Self::Password(error) => {
                write!(
                    f,
                    "cannot read a password: {error}; without a terminal use --password-stdin"
                )
            }
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; choose another --listen")
            }
            Self::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Random(error) => error.into(),
        }
    }
}

impl From<getrandom::Error> for CommandError {
    fn from(error: getrandom::Error) -> Self {
        Self::System(error.into())
    }
}

fn run_server(options: &ServeOptions) -> Result<(), CommandError> {
    let backend = Arc::new(Backend::open(options, Clock::system())?);
    let app = app(backend, &options.allowed_origins);
    let runtime =
        runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::System)?;
    let outcome = runtime.block_on(async {
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|error| CommandError::Listen(options.listen, error))?;
        serve(listener, app).await.map_err(CommandError::System)
    });
    // A file operation that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
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
    check_password(text.lines().next().unwrap_or_default())
}

fn ask_password() -> Result<String, CommandError> {
    let password = rpassword::prompt_password("Password: ").map_err(CommandError::Password)?;
    let again = rpassword::prompt_password("Once more: ").map_err(CommandError::Password)?;
    if password != again {
        return Err(CommandError::InvalidInput("the two passwords differ: try again"));
    }
    check_password(&password)
}

fn check_password(password: &str) -> Result<String, CommandError> {
    if password.is_empty() {
        return Err(CommandError::InvalidInput("the password is empty: give one"));
    }
    Ok(password.to_owned())
}
