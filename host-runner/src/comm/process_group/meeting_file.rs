//! The file where ranks meet: its name, who may use it, and who lives.
//!
//! ```text
//!  byte locks of the file     0 … 63: a live rank each    64: the gate, for whoever changes what it says
//!  page 0                     header                      pages from 1 on: window of rank 0, 1, …
//! ```
//!
//! A file without live ranks is left over: it is never used again but replaced, since somebody may
//! still have its windows mapped.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::MAX_RANKS;
use rustix::fs::{FallocateFlags, fallocate};
use sha2::{Digest as _, Sha256};

use super::{ProcessGroupError, locks};
use crate::device::SharedMemory;

/// The lock of whoever changes what the file says.
const GATE: u64 = MAX_RANKS as u64;

/// Between two looks at the gate, which nobody holds for long.
const GATE_POLL: Duration = Duration::from_micros(200);

/// An open file where ranks meet. Dropping it gives its locks back.
#[derive(Debug)]
pub(super) struct MeetingFile {
    file: File,
    path: PathBuf,
}

/// The right to change what a file says.
#[derive(Debug)]
pub(super) struct Gate<'f>(&'f MeetingFile);

/// Where the ranks of a communicator meet: known to the children of one process (as in the
/// reference, spec hbg B9) of one user, by the path that they were given.
pub(super) fn path_of(key: &Path) -> PathBuf {
    let digest = Sha256::digest(key.as_os_str().as_encoded_bytes());
    let digest: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let user = rustix::process::geteuid().as_raw();
    let parent = std::os::unix::process::parent_id();
    PathBuf::from(format!("/dev/shm/simpler-rs-{user}-{parent:08x}-{digest}"))
}

impl MeetingFile {
    /// Opens the file, or makes it. `None` where somebody was faster, one way or the other.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, ProcessGroupError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let opened = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                options.create_new(true).mode(0o600).open(path)
            }
            opened => opened,
        };
        let is_link = |error: &io::Error| error.raw_os_error() == Some(libc::ELOOP);
        match opened {
            Ok(file) => Self { file, path: path.to_owned() }.checked().map(Some),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) if is_link(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
                Err(ProcessGroupError::ForeignFile { path: path.to_owned() })
            }
            Err(source) => {
                Err(ProcessGroupError::Io { what: "open", path: path.to_owned(), source })
            }
        }
    }

    /// The file, if it is one of this user alone.
    fn checked(self) -> Result<Self, ProcessGroupError> {
        let facts = self.try_to("look at", self.file.metadata())?;
        let is_own = facts.uid() == rustix::process::geteuid().as_raw();
        if facts.is_file() && is_own && facts.permissions().mode() & 0o077 == 0 {
            return Ok(self);
        }
        Err(ProcessGroupError::ForeignFile { path: self.path.clone() })
    }

    /// Waits for the right to change what the file says.
    pub(super) fn gate(&self, until: Instant) -> Result<Option<Gate<'_>>, ProcessGroupError> {
        while !self.try_to("lock", locks::try_lock(&self.file, GATE))? {
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(GATE_POLL);
        }
        Ok(Some(Gate(self)))
    }

    /// Takes a rank, unless it is taken.
    pub(super) fn claim(&self, rank: u32) -> Result<bool, ProcessGroupError> {
        self.try_to("lock", locks::try_lock(&self.file, rank.into()))
    }

    /// Whether another member has this rank.
    pub(super) fn has_rank(&self, rank: u32) -> Result<bool, ProcessGroupError> {
        self.try_to("look at the locks of", locks::is_any_held(&self.file, rank.into(), 1))
    }

    /// Whether there is another member.
    pub(super) fn has_members(&self) -> Result<bool, ProcessGroupError> {
        self.try_to("look at the locks of", locks::is_any_held(&self.file, 0, MAX_RANKS as u64))
    }

    /// Whether the name still is this file's.
    pub(super) fn is_named(&self) -> Result<bool, ProcessGroupError> {
        let own = self.try_to("look at", self.file.metadata())?;
        match fs::symlink_metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => self.try_to("look at", Err(error)),
        }
    }

    /// Its size in bytes.
    pub(super) fn byte_len(&self) -> Result<u64, ProcessGroupError> {
        Ok(self.try_to("look at", self.file.metadata())?.len())
    }

    /// Gives it memory for this many bytes, zeroed where it had none, so that touching them does
    /// not fail later.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), ProcessGroupError> {
        let reserved = loop {
            match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
                Err(rustix::io::Errno::INTR) => {}
                end => break end,
            }
        };
        self.try_to("reserve memory in", reserved.map_err(io::Error::from))
    }

    /// Maps bytes that it has, from `offset` on.
    pub(super) fn map(
        &self,
        offset: u64,
        bytes: usize,
    ) -> Result<Arc<SharedMemory>, ProcessGroupError> {
        let mapped = SharedMemory::of_file(self.file.as_fd(), offset, bytes);
        self.try_to("map", mapped.map_err(io::Error::from))
    }

    fn try_to<T>(&self, what: &'static str, end: io::Result<T>) -> Result<T, ProcessGroupError> {
        end.map_err(|source| ProcessGroupError::Io { what, path: self.path.clone(), source })
    }
}

impl Drop for MeetingFile {
    fn drop(&mut self) {
        // Mappings of the file would keep the locks.
        if let Err(error) = locks::unlock(&self.file, 0, GATE + 1) {
            tracing::warn!(%error, path = %self.path.display(), "cannot unlock");
        }
    }
}

impl Gate<'_> {
    /// Takes the name away, if it still is this file's.
    pub(super) fn remove_name(&self) -> Result<(), ProcessGroupError> {
        // Only who has the gate of the file that has the name takes it away.
        if self.0.is_named()? {
            self.0.try_to("remove", fs::remove_file(&self.0.path))?;
        }
        Ok(())
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        if let Err(error) = locks::unlock(&self.0.file, GATE, 1) {
            tracing::warn!(%error, path = %self.0.path.display(), "cannot unlock");
        }
    }
}
