//! Why a command stopped, by whose turn it is to act.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What stops a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller's: the command line or an environment variable.
    Usage(String),
    /// The machine's: something is missing; the sentence says what to install.
    Missing(String),
    /// A tool that ran and refused; its output has been shown.
    Step { step: String, status: String },
    /// The project's: a rule or a budget is broken; each breach has been shown.
    Broken(String),
    /// A file or a program that could not be reached.
    Io(String),
}

impl Failure {
    pub(crate) fn io(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::Io(format!("cannot {verb} {}: {error}", path.display()))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Missing(_) | Self::Step { .. } | Self::Broken(_) | Self::Io(_) => {
                ExitCode::FAILURE
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) | Self::Broken(text) | Self::Io(text) => {
                f.write_str(text)
            }
            Self::Step { step, status } => write!(f, "{step} failed ({status})"),
        }
    }
}
