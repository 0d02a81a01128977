//! One JSON value in a file: written whole or not at all, shared with other processes.
//!
//! Rule 1: whoever reads the file sees one complete version of it, also after a power cut (new file
//! in the same folder, fsync, rename, fsync of the folder).
//! Rule 2: writers take turns by a lock on a file beside it; readers never wait for them.
//! Rule 3: what another process wrote is seen by the next read.
//! Rule 4: a file that cannot be read, or that is gone after it was seen, is an error and never an
//! empty value: that is what an unmounted disk looks like.
//! Rule 5: a file that cannot be parsed is never replaced by less than what was acknowledged.
//!
//! It deliberately does not know what the value is about. Every call blocks its thread.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::private::{self, FILE_MODE, folder_of, with_suffix};
use super::{OpenMode, StoreError};
use crate::clock;

/// What can be kept in a [`Document`].
pub(crate) trait Content:
    Default + Clone + PartialEq + Serialize + DeserializeOwned
{
}
impl<T: Default + Clone + PartialEq + Serialize + DeserializeOwned> Content for T {}

/// What becomes of a file that is missing or cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Missing, it is empty; corrupt, it is set aside for what was last read: nobody misses it.
    Disposable,
    /// Missing, it is made at the first start only; corrupt, it is set aside for a copy of the last
    /// version, which each write leaves beside it.
    WithBackup(OpenMode),
    /// Missing, it is empty until it was seen; corrupt, it is left alone and is an error: for what
    /// only people can create again.
    Irreplaceable,
}

/// What the name of the copy ends in.
pub(super) const COPY: &str = ".good";

/// A JSON value kept in a file.
pub(crate) struct Document<T> {
    path: PathBuf,
    durability: Durability,
    last_good: Mutex<Option<Version<T>>>,
}

impl<T: Content> Document<T> {
    /// Makes the folder where there is none, and reads the file once, so that a store that cannot
    /// work is reported at the start. For a value that nobody misses.
    pub(crate) fn open_disposable(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Durability::Disposable)
    }

    /// The same for a value that must not be lost, whatever becomes of the file. Under
    /// [`OpenMode::CreateIfMissing`] the file is there from now on.
    pub(crate) fn open_with_backup(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        Self::open_with(path, Durability::WithBackup(mode))
    }

    /// The same for a value that must not be replaced, whatever has become of the file.
    pub(crate) fn open_irreplaceable(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Durability::Irreplaceable)
    }

    /// What the path names is looked at before anything of it is changed: a mistyped one may be
    /// another program's.
    fn open_with(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let path = private::resolve(path)?;
        let document = Self { path, durability, last_good: Mutex::new(None) };
        if durability != Durability::WithBackup(OpenMode::MustExist) {
            private::prepare_folder(&document.path)?;
        }
        match durability {
            Durability::WithBackup(_) => document.begin()?,
            Durability::Disposable | Durability::Irreplaceable => drop(document.read()?),
        }
        private::narrow_file_mode(&document.path)?;
        Ok(document)
    }

    /// The value as it is in the file now. Parses only a file that changed.
    pub(crate) fn read(&self) -> Result<Arc<T>, StoreError> {
        match self.load()? {
            Loaded::Good(value) => Ok(value),
            // Whether it is still so is decided under the lock: another process may be repairing
            // it.
            Loaded::Corrupt { .. } => self.update(|_| ()).and_then(|()| self.read_repaired()),
        }
    }

    /// Changes the value. Only when this returns `Ok` is the change on disk and may be
    /// acknowledged. A change that changes nothing writes nothing.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, StoreError> {
        let _lock = private::lock(&self.path)?;
        let current = self.load_or_repair()?;
        let mut next = T::clone(&current);
        let outcome = change(&mut next);
        if next != *current {
            self.write(next)?;
        }
        Ok(outcome)
    }

    /// Makes the file, where there is none, with what a missing one stands for.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        let _lock = private::lock(&self.path)?;
        let value = self.load_or_repair()?;
        let is_missing = self.last_good().as_ref().is_none_or(|version| version.stamp.is_none());
        if is_missing { self.write(T::clone(&value)).map(drop) } else { Ok(()) }
    }

    /// A file that is there from the first start on is known for one that is gone when it is not;
    /// and a copy that is missing, torn, or of before somebody put another file there, is renewed.
    fn begin(&self) -> Result<(), StoreError> {
        // Before the lock: where the file must be there and is not, or is another program's,
        // nothing is left in a folder that is not ours.
        if let Loaded::Corrupt { bytes, reason } = self.load()?
            && !bytes.is_empty()
            && self.read_copy().is_none()
        {
            let advice = "and has no copy beside it: name another file, or move it away and \
                          everybody signs in again";
            return Err(self.invalid(format!("{reason}, {advice}")));
        }
        let _lock = private::lock(&self.path)?;
        let value = self.load_or_repair()?;
        let is_missing = self.last_good().as_ref().is_none_or(|version| version.stamp.is_none());
        if is_missing {
            return self.write(T::clone(&value)).map(drop);
        }
        if self.read_copy().as_ref() != Some(&*value) {
            self.write_copy(&self.to_bytes(&value)?)?;
        }
        Ok(())
    }

    /// Only under the lock.
    fn load_or_repair(&self) -> Result<Arc<T>, StoreError> {
        match self.load()? {
            Loaded::Good(value) => Ok(value),
            Loaded::Corrupt { bytes, reason } => self.repair(&bytes, &reason),
        }
    }

    fn load(&self) -> Result<Loaded<T>, StoreError> {
        let stamp = match fs::metadata(&self.path) {
            Ok(metadata) => Some(Stamp::of(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed("read", error)),
        };
        if let Some(value) = self.cached(stamp) {
            return Ok(Loaded::Good(value));
        }
        // Else it was made between the two looks, as when workers start together.
        if stamp.is_none()
            && let Some(value) = self.load_missing()?
        {
            return Ok(Loaded::Good(value));
        }
        let (stamp, bytes) = self.read_file().map_err(|error| self.failed("read", error))?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Loaded::Good(self.remember(Some(stamp), value))),
            // Position and category only: serde's own text may quote what is in the file.
            Err(error) => {
                let reason = format!("{:?} error at line {}", error.classify(), error.line());
                match self.durability {
                    Durability::Disposable | Durability::WithBackup(_) => {
                        Ok(Loaded::Corrupt { bytes, reason })
                    }
                    Durability::Irreplaceable => Err(self.invalid(reason)),
                }
            }
        }
    }

    /// A missing file may be an empty value; a missing folder is a disk that is not there. `None`:
    /// it is not missing any more.
    fn load_missing(&self) -> Result<Option<Arc<T>>, StoreError> {
        let folder = self.folder();
        let failed = |source| StoreError::io("read", folder, source);
        let mut listed = fs::read_dir(folder).map_err(failed)?.filter_map(Result::ok);
        let is_listed = listed.any(|entry| Some(&*entry.file_name()) == self.path.file_name());
        if is_listed || self.path.try_exists().map_err(failed)? {
            return Ok(None);
        }
        let was_seen = self.last_good().as_ref().is_some_and(|version| version.stamp.is_some());
        let may_be_missing = match self.durability {
            Durability::Disposable => true,
            Durability::WithBackup(mode) => !was_seen && mode == OpenMode::CreateIfMissing,
            Durability::Irreplaceable => !was_seen,
        };
        if !may_be_missing {
            let advice = "it is gone: put it back, or restart the server to begin without it";
            return Err(self.failed("read", io::Error::new(io::ErrorKind::NotFound, advice)));
        }
        Ok(Some(self.remember(None, T::default())))
    }

    fn read_repaired(&self) -> Result<Arc<T>, StoreError> {
        match self.load()? {
            Loaded::Good(value) => Ok(value),
            Loaded::Corrupt { reason, .. } => Err(self.invalid(reason)),
        }
    }

    /// Only under the lock. The corrupt bytes are safe under their new name before they are
    /// replaced, and the file is never missing in between: that would read as an empty value.
    fn repair(&self, corrupt: &[u8], reason: &str) -> Result<Arc<T>, StoreError> {
        let last_read = self.last_good().as_ref().map(|version| Arc::clone(&version.value));
        // What this process last read may be older than what others have acknowledged since.
        let (value, origin) = match (self.read_copy(), last_read) {
            (Some(copy), _) => (copy, "the copy of its last version"),
            (None, Some(value)) => (T::clone(&value), "what was last read from it"),
            (None, None) if self.durability == Durability::WithBackup(OpenMode::MustExist) => {
                return Err(self.invalid(reason.to_owned()));
            }
            (None, None) => (T::default(), "NOTHING: what was in it is lost"),
        };
        let aside = with_suffix(&self.path, &format!(".corrupt-{}", clock::system_now().0));
        write_whole(&aside, corrupt).map_err(|error| self.failed("set aside", error))?;
        let (path, aside) = (self.path.display(), aside.display());
        warn!("{path} is corrupt ({reason}): set aside as {aside}, going on with {origin}");
        self.write(value)
    }

    fn write(&self, value: T) -> Result<Arc<T>, StoreError> {
        let bytes = self.to_bytes(&value)?;
        if matches!(self.durability, Durability::WithBackup(_)) {
            self.write_copy(&bytes)?;
        }
        let stamp = write_whole(&self.path, &bytes).map_err(|error| self.failed("write", error))?;
        Ok(self.remember(Some(stamp), value))
    }

    fn to_bytes(&self, value: &T) -> Result<Vec<u8>, StoreError> {
        let mut bytes = serde_json::to_vec_pretty(value)
            .map_err(|error| self.failed("write", io::Error::other(error)))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Comes before the file itself, or the copy would lack what is acknowledged in between. After
    /// a crash between the two it has a change that nobody was told of, which may as well have
    /// taken place. It is not synced: what a power cut tears is no JSON any more, while the file,
    /// which is synced, is whole, and the next start renews the copy.
    fn write_copy(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let copy = with_suffix(&self.path, COPY);
        let temporary = with_suffix(&copy, ".new");
        let written = write_new(&temporary, bytes).and_then(|_| fs::rename(&temporary, &copy));
        written.map_err(|error| StoreError::io("write", &copy, error))
    }

    /// `None`: there is none that can be read.
    fn read_copy(&self) -> Option<T> {
        if !matches!(self.durability, Durability::WithBackup(_)) {
            return None;
        }
        let bytes = fs::read(with_suffix(&self.path, COPY)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn read_file(&self) -> io::Result<(Stamp, Vec<u8>)> {
        let mut file = File::open(&self.path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((stamp, bytes))
    }

    fn cached(&self, stamp: Option<Stamp>) -> Option<Arc<T>> {
        let last_good = self.last_good();
        let version = last_good.as_ref().filter(|version| version.stamp == stamp)?;
        Some(Arc::clone(&version.value))
    }

    fn remember(&self, stamp: Option<Stamp>, value: T) -> Arc<T> {
        let value = Arc::new(value);
        *self.last_good() = Some(Version { stamp, value: Arc::clone(&value) });
        value
    }

    fn last_good(&self) -> MutexGuard<'_, Option<Version<T>>> {
        // Nothing can panic between two halves of a change to it: it is replaced in one go.
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    fn invalid(&self, reason: String) -> StoreError {
        self.failed("understand", io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> StoreError {
        StoreError::io(doing, &self.path, source)
    }
}

impl<T> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("path", &self.path).finish_non_exhaustive()
    }
}

enum Loaded<T> {
    Good(Arc<T>),
    Corrupt { bytes: Vec<u8>, reason: String },
}

struct Version<T> {
    /// None: the file was missing.
    stamp: Option<Stamp>,
    value: Arc<T>,
}

/// Tells one version of a file from the next. Each write makes a new inode, so that two writes
/// within one tick of the file system's clock differ too.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Puts a private file with these bytes in the place of `path`. Only under its lock.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole(path, bytes).map(drop).inspect_err(|_| {
        // What a full disk took of it.
        let _ = fs::remove_file(with_suffix(path, ".new"));
    })
}

/// Only under the lock: two writers would share the temporary name, which is fixed so that what a
/// killed process left behind is taken by the next write.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
    let temporary = with_suffix(path, ".new");
    let file = write_new(&temporary, bytes)?;
    file.sync_all()?;
    let stamp = Stamp::of(&file.metadata()?);
    fs::rename(&temporary, path)?;
    File::open(folder_of(path))?.sync_all()?;
    Ok(stamp)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
