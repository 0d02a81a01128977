//! Why a service is not as it was asked to be, by whose turn it is to act.
//!
//! Rule: what a server said before it gave up is in the message, because its log goes with it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a service did not do what was asked of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// The machine's: the server is not installed.
    Missing {
        /// What was looked for.
        what: &'static str,
        /// How to get it.
        remedy: &'static str,
    },
    /// The caller's: an environment variable names what does not exist.
    WrongVariable {
        /// Its name.
        variable: &'static str,
        /// What it should lead to.
        path: PathBuf,
    },
    /// The machine's: there is nobody to run PostgreSQL as, which refuses to run as root.
    NoAccount,
    /// The server's: it ended by itself.
    Ended {
        /// The program.
        what: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last that it said.
        said: String,
    },
    /// The server's: it did not do it in time.
    TooSlow {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
        /// The last that the server said.
        said: String,
    },
    /// The caller's: the server does not run.
    NotRunning,
    /// The system's: a file, a process or a port.
    Io {
        /// What failed.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl ServiceError {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what, error }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what, remedy } => write!(f, "{what} was not found: {remedy}"),
            Self::WrongVariable { variable, path } => {
                let path = path.display();
                write!(
                    f,
                    "{variable} leads to {path}, and no such file exists: correct it or unset it"
                )
            }
            Self::NoAccount => f.write_str(
                "PostgreSQL refuses to run as root, and there is no user postgres or nobody to \
                 run it as: run the tests as another user",
            ),
            Self::Ended { what, status, said } => {
                write!(f, "{what} gave up ({status}) and said last:\n{said}")
            }
            Self::TooSlow { what, limit, said } => {
                let seconds = limit.as_secs();
                write!(f, "{what} took longer than {seconds} s; the server said last:\n{said}")
            }
            Self::NotRunning => f.write_str("the server does not run: start it before"),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Missing { .. }
            | Self::WrongVariable { .. }
            | Self::NoAccount
            | Self::Ended { .. }
            | Self::TooSlow { .. }
            | Self::NotRunning => None,
        }
    }
}
