//! A folder that only its owner writes to, and files in it that are there whole or not at all.
//!
//! The folder is opened anew for each access, without following a link, and looked at before
//! anything in it is believed: it may have been removed, replaced or opened to others since. Files
//! are opened below it, so nobody can slip another folder in between.
//!
//! A file is written under a name of its own, which must not exist, and renamed into place. It is
//! not forced to the disk: after a loss of power it may be empty, which its reader notices.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, fstat, futimens,
    open, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::entry::{EntryError, FolderError};

/// How the names of files begin that are being written.
const UNFINISHED: &str = ".writing-";
/// After so many seconds nobody is writing a file any more.
const UNFINISHED_SECONDS: i64 = 3600;
/// The right to write, of the group and of all others.
const OTHERS_WRITE: u32 = 0o022;

/// Such a folder. It need not be there all the time.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    path: PathBuf,
    owner: u32,
}

impl PrivateFolder {
    /// Makes the folder, unless it is there, and looks at it.
    ///
    /// # Errors
    ///
    /// [`FolderError`].
    pub(super) fn create(path: &Path) -> Result<Self, FolderError> {
        let owner = rustix::process::geteuid().as_raw();
        let folder = Self { path: path.to_owned(), owner };
        folder.make().map_err(|source| FolderError::System { path: path.to_owned(), source })?;
        folder.open()?;
        Ok(folder)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder with rights for its owner alone.
    fn make(&self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Opens it as it is now.
    fn open(&self) -> Result<OwnedFd, FolderError> {
        let path = || self.path.clone();
        let system = |errno: Errno| FolderError::System { path: path(), source: errno.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(&self.path, flags, Mode::empty()).map_err(system)?;
        let Stat { st_uid: found, st_mode: mode, .. } = fstat(&folder).map_err(system)?;
        if found != self.owner {
            return Err(FolderError::ForeignOwner { path: path(), found, own: self.owner });
        }
        if mode & OTHERS_WRITE != 0 {
            return Err(FolderError::OthersMayWrite { path: path(), mode: mode & 0o777 });
        }
        Ok(folder)
    }

    /// Reads a file of at most `limit` bytes, and notes that it was used; `None` where there is
    /// none.
    ///
    /// # Errors
    ///
    /// [`EntryError`] for a file that this program has not left there so.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, EntryError> {
        let folder = match self.open() {
            Ok(folder) => folder,
            Err(FolderError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "nothing is read there");
                return Ok(None);
            }
        };
        // A pipe without a writer must not keep us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let unreadable = |error: io::Error| EntryError::Unreadable { kind: error.kind() };
        let file = match openat(&folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(EntryError::NotAFile),
            Err(errno) => return Err(unreadable(errno.into())),
        };
        let stat = fstat(&file).map_err(|errno| unreadable(errno.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(EntryError::NotAFile);
        }
        if stat.st_uid != self.owner || stat.st_mode & OTHERS_WRITE != 0 {
            let (owner, mode) = (stat.st_uid, stat.st_mode & 0o777);
            return Err(EntryError::NotPrivate { owner, mode });
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > limit {
            return Err(EntryError::TooLarge { bytes: size, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow while it is read.
        (&file).take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        // What was used goes last. Where that cannot be noted, it goes a little earlier.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Ok(Some(bytes))
    }

    /// Puts a file in place of what has that name, whatever it is, but for a folder.
    ///
    /// # Errors
    ///
    /// The system's; what had the name stays then.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = match self.open() {
            Ok(folder) => folder,
            Err(FolderError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.make()?;
                self.open().map_err(io::Error::other)?
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // ORDERING: Relaxed: only the number matters.
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{serial}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let rights = Mode::RUSR | Mode::WUSR;
        // Left by a process that had the same number and is gone.
        let _ = unlinkat(&folder, &unfinished, AtFlags::empty());
        let mut file = File::from(openat(&folder, &unfinished, flags, rights)?);
        let written =
            file.write_all(bytes).and_then(|()| Ok(renameat(&folder, &unfinished, &folder, name)?));
        if written.is_err() {
            let _ = unlinkat(&folder, &unfinished, AtFlags::empty());
        }
        written
    }

    /// Removes files until at most `limit` bytes are left, those first that were not used for
    /// longest, and what writers left unfinished. Returns how many files went for the limit.
    pub(super) fn shrink(&self, limit: u64) -> u64 {
        let Ok(folder) = self.open() else { return 0 };
        let mut files = files_of(&folder);
        let remove = |name: &OsStr| unlinkat(&folder, name, AtFlags::empty()).is_ok();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        files.retain(|file| {
            let is_unfinished = file.name.as_bytes().starts_with(UNFINISHED.as_bytes());
            if is_unfinished && file.used.0.saturating_add(UNFINISHED_SECONDS) < now {
                remove(&file.name);
            }
            !is_unfinished
        });
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        files.sort_by_key(|file| file.used);
        let mut removed = 0;
        for file in files {
            if bytes <= limit {
                break;
            }
            if remove(&file.name) {
                bytes -= file.bytes;
                removed += 1;
            }
        }
        removed
    }
}

/// A file of the folder.
struct KeptFile {
    name: std::ffi::OsString,
    bytes: u64,
    /// When it was last written or read: seconds, nanoseconds.
    used: (i64, u64),
}

/// The files of a folder; those that go away meanwhile are not among them.
fn files_of(folder: &OwnedFd) -> Vec<KeptFile> {
    let Ok(entries) = Dir::read_from(folder) else { return Vec::new() };
    let file = |name: &OsStr| {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        is_file.then(|| KeptFile {
            name: name.to_owned(),
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            used: (stat.st_mtime, stat.st_mtime_nsec),
        })
    };
    entries
        .flatten()
        .filter_map(|entry| file(OsStr::from_bytes(entry.file_name().to_bytes())))
        .collect()
}

#[cfg(test)]
mod tests;
