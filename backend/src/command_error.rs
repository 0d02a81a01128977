//! Why a command was not done, as the program says it.
//!
//! Rule: a sentence says what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::config::{InvalidSettings, StoreChoice};
use crate::keys::KeyError;
use crate::store::StoreError;
use crate::users::OpenError;

/// Why a command was not done.
#[derive(Debug)]
pub enum CommandError {
    /// An argument or a password is wrong; the sentence says how.
    InvalidInput(&'static str),
    /// There is such a user.
    UserExists,
    /// There is no such user in the file.
    NoSuchUser(PathBuf),
    /// No session was ended: most likely the store is another one than the server's.
    NothingRevoked {
        /// Where it was looked.
        store: StoreChoice,
        /// Whose sessions were to end.
        scope: String,
    },
    /// A server did not say that it is ready.
    NotReady(String),
    /// There is no such file of sessions.
    NoStore(PathBuf),
    /// There is no such file of keys.
    NoKeys(PathBuf),
    /// The settings do not go together, or a key is none; the sentence says which.
    Settings(String),
    /// A worker ended before it could serve; its own words are on stderr.
    WorkerFailed,
    /// No worker could be kept running.
    WorkersKeepFailing(u32),
    /// A file cannot be used; the sentence says which.
    Store(String),
    /// The user was changed, and the sessions could not be ended; the sentence says why.
    SessionsGoOn(String),
    /// The file of the audit log cannot be written.
    AuditFile(io::Error),
    /// No password could be read.
    Password(io::Error),
    /// The address cannot be listened on.
    Listen(String, io::Error),
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
            Self::NoSuchUser(path) => {
                let path = path.display();
                write!(f, "there is no such user in {path}: see `user list --users {path}`")
            }
            Self::NothingRevoked { store, scope } => write!(
                f,
                "{store} has no session of {scope}: nothing was ended; is it the server's store? \
                 Name that by --store, TOKEN_STORE or --env-file"
            ),
            Self::NotReady(reason) => write!(f, "the server is not ready: {reason}"),
            Self::NoStore(path) => {
                let path = path.display();
                write!(f, "{path} does not exist: name the server's store with --store")
            }
            Self::NoKeys(path) => {
                let path = path.display();
                write!(f, "{path} does not exist: name the server's keys with --key-file")
            }
            Self::Settings(sentence) => f.write_str(sentence),
            Self::WorkerFailed => f.write_str("a worker cannot serve; its own words stand above"),
            Self::WorkersKeepFailing(tries) => write!(
                f,
                "no worker could be kept running in {tries} tries; their own words stand above"
            ),
            Self::Store(sentence) => f.write_str(sentence),
            Self::SessionsGoOn(reason) => {
                write!(f, "the user's sessions go on until the server notices: {reason}")
            }
            Self::AuditFile(error) => write!(f, "--audit-file cannot be used: {error}"),
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

impl From<InvalidSettings> for CommandError {
    fn from(error: InvalidSettings) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<KeyError> for CommandError {
    fn from(error: KeyError) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<getrandom::Error> for CommandError {
    fn from(error: getrandom::Error) -> Self {
        Self::System(error.into())
    }
}
