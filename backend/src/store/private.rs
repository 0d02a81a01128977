//! Files that are nobody else's business: their modes, their folder, and the lock beside them.
//!
//! Rule 1: what is made is readable for its owner only, and what others could read is narrowed,
//! once it is known to be ours.
//! Rule 2: whoever waits for a lock waits for a while and not for ever.
//! Rule 3: each write puts a new file in the place of the old one. So a link is followed once, at
//! the start, and a file that is a mount point is refused: the first write would leave it behind.
//!
//! It deliberately does not know what is in the files.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tracing::warn;

use super::StoreError;

pub(super) const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A writer holds the lock for two fsyncs. Whoever holds it for seconds hangs, and so would all
/// requests.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(5);

/// The file that `path` leads to. What cannot be replaced by a new file is refused.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let refused = |reason| StoreError::io("use", path, io::Error::other(reason));
    let failed = |source| StoreError::io("read", path, source);
    let real = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                refused("it is a link that leads to no file: make the file, or name it itself")
            } else {
                failed(source)
            }
        })?,
        Ok(_) => path.to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(error) => return Err(failed(error)),
    };
    if !fs::metadata(&real).map_err(failed)?.is_file() {
        return Err(refused("it is no file"));
    }
    if is_mount_point(&real) {
        return Err(refused("it is mounted by itself, and cannot be replaced: mount its folder"));
    }
    Ok(real)
}

/// Linux says so since 5.8. Where nothing is known it is none.
#[cfg(target_os = "linux")]
fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, path, AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| {
        found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
            && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_mount_point(_path: &Path) -> bool {
    false
}

/// Makes the folder of `path` where there is none.
pub(crate) fn prepare_folder(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|source| StoreError::io("make", folder, source))?;
    let metadata = fs::metadata(folder).map_err(|source| StoreError::io("read", folder, source))?;
    if metadata.mode() & 0o077 != 0 {
        // Not narrowed here: it is somebody's folder, perhaps with other things in it.
        let shown = folder.display();
        warn!("others may look into {shown}: chmod 700 {shown}");
    }
    Ok(())
}

/// Spawn the file from everybody but its owner. Nothing happens where there is no file.
pub(super) fn narrow_file_mode(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.mode() & 0o077 != 0 => {
            warn!("others could read {}: narrowed", path.display());
            fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
                .map_err(|source| StoreError::io("narrow the mode of", path, source))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Holds the lock of `path` until the file that it gives is dropped. The lock is a file of its
/// own: the one that it guards may be another one after each write.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    lock_file(path, LOCK_WAIT)
}

/// The same, with another time to wait.
pub(crate) fn lock_file(path: &Path, wait: Duration) -> Result<File, StoreError> {
    let path = with_suffix(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        // A link would make or open a file that somebody else chose.
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
        .map_err(|source| StoreError::io("lock", &path, source))?;
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path }),
            Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path, source)),
        }
    }
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}
