//! The file that the upstream token is kept in across restarts.
//!
//! Rule 1: it is readable for its owner only (0600 in a folder of 0700), and in the system's
//! temporary directory it is in a folder that nobody else made.
//! Rule 2: what is corrupt, expired or of other settings is removed; what was never such a file is
//! left alone.
//! Rule 3: disk trouble means that the token is in memory only, and never that there is none.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use session_keeper_tokens::UnixMillis;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::token::UpstreamToken;
use crate::clock;
use crate::config::UpstreamOptions;
use crate::store::{StoreError, lock_file, prepare_folder, write_private};

const KIND: &str = "session-keeper upstream token";
const FOLDER_MODE: u32 = 0o700;

/// No token is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// Longer than another process takes to get a token.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// Which version of the file was read or written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    modified: (i64, i64),
}

/// What there is in the file.
#[derive(Debug)]
pub(super) enum Found {
    Token(UpstreamToken, Stamp),
    Nothing,
}

/// Where the token is kept.
#[derive(Debug, Clone)]
pub(super) struct TokenFile {
    path: PathBuf,
    /// Whether everything in the folder is ours, so that what is there may be removed.
    is_own_folder: bool,
    /// Which server and client a token is of.
    settings: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    kind: String,
    settings: String,
    access_token: String,
    obtained_at: String,
    expires_at: String,
}

impl TokenFile {
    /// Where `options` say.
    pub(super) fn new(options: &UpstreamOptions, client_id: &str) -> Self {
        let settings = digest(options, client_id);
        match &options.token_file {
            Some(path) => Self { path: path.clone(), is_own_folder: false, settings },
            None => {
                let folder = format!("session-keeper-{}", rustix::process::getuid().as_raw());
                let name = format!("upstream-{}.json", &settings[..16]);
                let path = env::temp_dir().join(folder).join(name);
                Self { path, is_own_folder: true, settings }
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, or says why the token must stay in memory.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        if !self.is_own_folder {
            return prepare_folder(&self.path);
        }
        let Some(folder) = self.path.parent() else { return Ok(()) };
        let failed = |source| StoreError::io("use", folder, source);
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            Ok(()) | Err(_) => {}
        }
        // Anybody can make a folder or a link of this name there.
        let found = fs::symlink_metadata(folder).map_err(failed)?;
        if !found.is_dir() || found.uid() != rustix::process::getuid().as_raw() {
            return Err(failed(io::Error::other("somebody else made it: delete it")));
        }
        if found.mode() & 0o777 != FOLDER_MODE {
            fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)).map_err(failed)?;
        }
        Ok(())
    }

    /// Held by whoever gets a token, so that one process asks for it and the others read it.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        lock_file(&self.path, LOCK_WAIT)
    }

    /// `None`: there is no file.
    pub(super) fn stamp(&self) -> io::Result<Option<Stamp>> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(Some(Stamp::of(&found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The token, if there is one that is good at `now`. Removes what is none any more.
    pub(super) fn load(&self, now: UnixMillis) -> Result<Found, StoreError> {
        let failed = |source| StoreError::io("read", &self.path, source);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&self.path);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(failed(error)),
        };
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(failed(io::Error::other("it is no file")));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        match self.parse(&bytes, &found)? {
            Some(token) if token.is_valid(now) => {
                if found.mode() & 0o077 != 0 {
                    warn!("others could read {}: narrowed", self.path.display());
                    let mode = Permissions::from_mode(0o600);
                    fs::set_permissions(&self.path, mode).map_err(failed)?;
                }
                Ok(Found::Token(token, Stamp::of(&found)))
            }
            Some(_) => self.remove_because("has expired, or is of other settings"),
            None => self.remove_because("is corrupt"),
        }
    }

    fn remove_because(&self, reason: &str) -> Result<Found, StoreError> {
        info!("The token file {reason}: removed {}", self.path.display());
        self.remove().map(|_| Found::Nothing)
    }

    /// `None`: it was a file of ours once, and cannot be read.
    fn parse(
        &self,
        bytes: &[u8],
        found: &fs::Metadata,
    ) -> Result<Option<UpstreamToken>, StoreError> {
        let foreign = || {
            let reason = "it is there and is no token file of ours: name another one";
            StoreError::io("use", &self.path, io::Error::other(reason))
        };
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
            // A disk that was full or torn, or a mistyped path: only what has the name, the mode
            // and the owner of our file is taken for one.
            let is_ours = found.mode() & 0o777 == 0o600
                && found.uid() == rustix::process::getuid().as_raw()
                && self.path.extension().is_some_and(|extension| extension == "json");
            return if is_ours || self.is_own_folder { Ok(None) } else { Err(foreign()) };
        };
        if value["kind"] != KIND && !self.is_own_folder {
            return Err(foreign());
        }
        let Ok(stored) = serde_json::from_value::<Stored>(value) else { return Ok(None) };
        let times = (clock::parse_iso(&stored.obtained_at), clock::parse_iso(&stored.expires_at));
        let (Ok(obtained_at), Ok(expires_at)) = times else { return Ok(None) };
        let is_of_these_settings = stored.settings == self.settings;
        let expires_at = if is_of_these_settings { expires_at } else { UnixMillis(0) };
        Ok(Some(UpstreamToken::new(stored.access_token, obtained_at, expires_at)))
    }

    /// Only under the lock.
    pub(super) fn save(&self, token: &UpstreamToken) -> Result<Option<Stamp>, StoreError> {
        let stored = Stored {
            kind: KIND.to_owned(),
            settings: self.settings.clone(),
            access_token: token.expose().to_owned(),
            obtained_at: clock::iso(token.obtained_at),
            expires_at: clock::iso(token.expires_at),
        };
        let bytes = serde_json::to_vec(&stored).expect("texts can be written as JSON");
        let failed = |source| StoreError::io("write", &self.path, source);
        write_private(&self.path, &bytes).map_err(failed)?;
        self.stamp().map_err(failed)
    }

    /// Whether there was one.
    pub(super) fn remove(&self) -> Result<bool, StoreError> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::io("remove", &self.path, source)),
        }
    }
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        Self { inode: found.ino(), modified: (found.mtime(), found.mtime_nsec()) }
    }
}

fn digest(options: &UpstreamOptions, client_id: &str) -> String {
    let url = options.token_url.as_ref().map(ToString::to_string).unwrap_or_default();
    let scope = options.scope.as_deref().unwrap_or_default();
    let digest = [&url, client_id, scope].iter().fold(Sha256::new(), |digest, part| {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        digest.chain_update(length.to_be_bytes()).chain_update(part)
    });
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
