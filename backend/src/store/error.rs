//! Why a store cannot be asked or told.
//!
//! Rule: no sentence holds a token, a user's name, or the password in a store's address.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The store cannot be asked or told: the operator's to repair, and never a reason to sign anybody
/// out.
#[derive(Debug)]
pub enum StoreError {
    /// The system refused.
    Io {
        /// The verb of the sentence "cannot … the file".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another writer has held the lock for too long.
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// A server of ours cannot be reached, does not answer in time, or refuses.
    Unavailable {
        /// Which: `SQLite`, `PostgreSQL` or `Redis`.
        engine: &'static str,
        /// In the engine's words.
        reason: String,
    },
    /// The file of keys is empty or gone, and was not when the server started.
    NoKey,
    /// A row is there and makes no sense: another program wrote it, or a newer version did.
    Corrupt {
        /// In which store.
        engine: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    /// A file that must be there and is not.
    pub(crate) fn missing(path: &Path) -> Self {
        let advice = "there is none: a disk that is away, or a first start (then run `init`, or \
                      leave out --store-must-exist)";
        Self::io("use", path, io::Error::new(io::ErrorKind::NotFound, advice))
    }

    pub(crate) fn unavailable(engine: &'static str, reason: impl fmt::Display) -> Self {
        Self::Unavailable { engine, reason: reason.to_string() }
    }

    pub(crate) fn corrupt(engine: &'static str, reason: impl fmt::Display) -> Self {
        Self::Corrupt { engine, reason: reason.to_string() }
    }
}

impl StoreError {
    /// Another program's file is at a path that was given for ours.
    pub(crate) fn is_foreign_file(&self) -> bool {
        match self {
            Self::Io { doing: "use", source, .. } => source.kind() == io::ErrorKind::Other,
            Self::Io { .. }
            | Self::Busy { .. }
            | Self::Unavailable { .. }
            | Self::NoKey
            | Self::Corrupt { .. } => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            Self::Busy { path } => {
                write!(f, "another process holds {} and does not let go: end it", path.display())
            }
            Self::Unavailable { engine, reason } => write!(f, "cannot ask {engine}: {reason}"),
            Self::NoKey => f.write_str(
                "the key file is empty or gone: put it back, a new one would sign everybody out",
            ),
            Self::Corrupt { engine, reason } => write!(f, "a row in {engine} is corrupt: {reason}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Busy { .. } | Self::Unavailable { .. } | Self::NoKey | Self::Corrupt { .. } => {
                None
            }
        }
    }
}
