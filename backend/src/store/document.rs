//! One JSON value in a file: written whole or not at all, shared with other processes.
//!
//! Rule 1: whoever reads the file sees one complete version of it, also after a power cut (new file
//! in the same folder, fsync, rename, fsync of the folder).
//! Rule 2: writers take turns by a lock on a file beside it; readers never wait for them.
//! Rule 3: what another process wrote is seen by the next read.
//! Rule 4: a file that cannot be parsed is set aside and the last version known to be good takes
//! its place; a file that cannot be read is an error, and never an empty value.
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

use super::StoreError;
use super::private::{self, FILE_MODE, folder_of, with_suffix};
use crate::clock;

/// What can be kept in a [`Document`]. A missing file stands for the default value.
pub(crate) trait Content:
    Default + Clone + PartialEq + Serialize + DeserializeOwned
{
}
impl<T: Default + Clone + PartialEq + Serialize + DeserializeOwned> Content for T {}

/// What is done with a file that cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Corrupt {
    /// It is set aside, and the last version known to be good takes its place.
    SetAside,
    /// It is left alone and is an error: for what cannot be made anew.
    Refuse,
}

/// A JSON value kept in a file.
pub(crate) struct Document<T> {
    path: PathBuf,
    corrupt: Corrupt,
    last_good: Mutex<Option<Version<T>>>,
}

impl<T: Content> Document<T> {
    /// Makes the folder where there is none, and reads the file once, so that a store that cannot
    /// work is reported at the start.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Corrupt::SetAside)
    }

    /// The same for a value that must not be replaced, whatever has become of the file.
    pub(crate) fn open_irreplaceable(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Corrupt::Refuse)
    }

    fn open_with(path: &Path, corrupt: Corrupt) -> Result<Self, StoreError> {
        let document = Self { path: path.to_owned(), corrupt, last_good: Mutex::new(None) };
        private::prepare_folder(path)?;
        private::narrow_file_mode(path)?;
        document.read()?;
        Ok(document)
    }

    /// The value as it is in the file now. Parses only a file that changed.
    pub(crate) fn read(&self) -> Result<Arc<T>, StoreError> {
        match self.load()? {
            Loaded::Good(value) => Ok(value),
            // Whether it is still so is decided under the lock: another process may be mending it.
            Loaded::Corrupt { .. } => self.update(|_| ()).and_then(|()| self.read_mended()),
        }
    }

    /// Changes the value. Only when this returns `Ok` is the change on disk and may be
    /// acknowledged. A change that changes nothing writes nothing.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, StoreError> {
        let _lock = private::lock(&self.path)?;
        let current = match self.load()? {
            Loaded::Good(value) => value,
            Loaded::Corrupt { bytes, reason } => self.mend(&bytes, &reason)?,
        };
        let mut next = T::clone(&current);
        let outcome = change(&mut next);
        if next != *current {
            self.write(next)?;
        }
        Ok(outcome)
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
        if stamp.is_none() {
            return self.load_missing().map(Loaded::Good);
        }
        let (stamp, bytes) = self.read_file().map_err(|error| self.failed("read", error))?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Loaded::Good(self.remember(Some(stamp), value))),
            // Position and category only: serde's own text may quote what is in the file.
            Err(error) => {
                let reason = format!("{:?} error at line {}", error.classify(), error.line());
                match self.corrupt {
                    Corrupt::SetAside => Ok(Loaded::Corrupt { bytes, reason }),
                    Corrupt::Refuse => Err(self.invalid(reason)),
                }
            }
        }
    }

    /// A missing file is an empty value; a missing folder is a disk that is not there.
    fn load_missing(&self) -> Result<Arc<T>, StoreError> {
        let folder = self.folder();
        let failed = |source| StoreError::io("read", folder, source);
        let mut listed = fs::read_dir(folder).map_err(failed)?.filter_map(Result::ok);
        let is_listed = listed.any(|entry| Some(&*entry.file_name()) == self.path.file_name());
        if is_listed || self.path.try_exists().map_err(failed)? {
            // The disk came back between the first look and this one.
            return Err(failed(io::Error::other("it was away a moment ago")));
        }
        if self.last_good().is_some() {
            warn!("{} is gone: what was in it is lost", self.path.display());
        }
        Ok(self.remember(None, T::default()))
    }

    fn read_mended(&self) -> Result<Arc<T>, StoreError> {
        match self.load()? {
            Loaded::Good(value) => Ok(value),
            Loaded::Corrupt { reason, .. } => Err(self.invalid(reason)),
        }
    }

    /// Only under the lock. The corrupt bytes are safe under their new name before they are
    /// replaced, and the file is never missing in between: that would read as an empty value.
    fn mend(&self, corrupt: &[u8], reason: &str) -> Result<Arc<T>, StoreError> {
        let aside = with_suffix(&self.path, &format!(".corrupt-{}", clock::system_now().0));
        write_whole(&aside, corrupt).map_err(|error| self.failed("set aside", error))?;
        let last_good = self.last_good().as_ref().map(|version| Arc::clone(&version.value));
        warn!(
            "{} is corrupt ({reason}): set aside as {}, going on with {}",
            self.path.display(),
            aside.display(),
            if last_good.is_some() { "what was last read from it" } else { "nothing" },
        );
        self.write(last_good.map(|value| T::clone(&value)).unwrap_or_default())
    }

    fn write(&self, value: T) -> Result<Arc<T>, StoreError> {
        let mut bytes = serde_json::to_vec_pretty(&value)
            .map_err(|error| self.failed("write", io::Error::other(error)))?;
        bytes.push(b'\n');
        let stamp = write_whole(&self.path, &bytes).map_err(|error| self.failed("write", error))?;
        Ok(self.remember(Some(stamp), value))
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

/// Only under the lock: two writers would share the temporary name, which is fixed so that what a
/// killed process left behind is taken by the next write.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
    let temporary = with_suffix(path, ".new");
    let stamp = write_new(&temporary, bytes)?;
    fs::rename(&temporary, path)?;
    File::open(folder_of(path))?.sync_all()?;
    Ok(stamp)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(Stamp::of(&file.metadata()?))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn writers_in_turn_lose_no_change_of_each_other() {
        const WRITERS: usize = 4;
        const CHANGES: usize = 20;
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let path = folder.path().join("count.json");
        thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    // As another process would: nothing is shared but the file.
                    let document: Document<usize> = Document::open(&path).expect("it opens");
                    for _ in 0..CHANGES {
                        document.update(|count| *count += 1).expect("it can be written");
                    }
                });
            }
        });
        let document: Document<usize> = Document::open(&path).expect("it opens");
        assert_eq!(document.read().ok().as_deref(), Some(&(WRITERS * CHANGES)));
    }

    #[test]
    fn what_a_killed_writer_left_behind_is_neither_read_nor_in_the_way() {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let path = folder.path().join("count.json");
        fs::write(with_suffix(&path, ".new"), "12345").expect("the folder is ours");
        let document: Document<usize> = Document::open(&path).expect("it opens");
        assert_eq!(document.read().ok().as_deref(), Some(&0));
        document.update(|count| *count = 1).expect("it can be written");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("1\n"));
    }
}
