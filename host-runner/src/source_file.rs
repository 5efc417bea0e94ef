//! A file that something was built from: what it held, and how to tell that it still does.
//!
//! Reading and hashing a few hundred headers costs milliseconds, asking the system about them
//! costs microseconds. So a file whose size, inode and times are those of the reading is taken to
//! hold what was read then, as git takes it. A change within one tick of the file system's clock
//! would not show in the times: a file that was changed shortly before it was read is read again
//! next time.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

/// A change this long before the reading shows in the times: the coarsest clock of a file system
/// in use, that of FAT, ticks every two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// What the system says about a file; it changes with every change of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileStamp {
    /// Device, inode, size in bytes.
    pub identity: [u64; 3],
    /// Seconds and nanoseconds of the last change of the bytes, and of the last change at all.
    pub times: [i64; 4],
}

impl FileStamp {
    /// The stamp in what the system said.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            identity: [metadata.dev(), metadata.ino(), metadata.size()],
            times: [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
        }
    }

    /// Whether any change from `now` on gives another stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        let [modified, _, changed, _] = self.times;
        let latest = u64::try_from(modified.max(changed)).unwrap_or(u64::MAX);
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(latest).saturating_add(SETTLED_AFTER) <= since_epoch
    }
}

/// A file as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// What the system said before it was read.
    pub stamp: FileStamp,
    /// Whether the stamp tells a change; if not, only the digest does.
    pub is_settled: bool,
}

/// What became of a file since it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Since {
    /// It is as it was, by its stamp.
    Same,
    /// It holds the same bytes, which had to be read; here it is as it is now.
    SameBytes(SourceFile),
    /// It holds others, or is gone.
    Changed,
}

impl SourceFile {
    /// Reads a file; returns it with its bytes.
    ///
    /// # Errors
    ///
    /// The system's, where it cannot be read.
    pub fn read(path: &Path) -> io::Result<(Self, Vec<u8>)> {
        let now = SystemTime::now();
        let mut file = File::open(path)?;
        // Before the bytes: a change in between gives another stamp later.
        let stamp = FileStamp::of(&file.metadata()?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let digest = Sha256::digest(&bytes).into();
        let path = path.to_owned();
        Ok((Self { path, digest, stamp, is_settled: stamp.is_settled(now) }, bytes))
    }

    /// Whether the system says of the file what it said when it was read.
    #[must_use]
    pub fn has_same_stamp(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| FileStamp::of(&metadata) == self.stamp)
    }

    /// Finds out what became of it; reads it only if the stamp does not tell.
    #[must_use]
    pub fn since(&self) -> Since {
        if self.is_settled && self.has_same_stamp() {
            return Since::Same;
        }
        match Self::read(&self.path) {
            Ok((now, _)) if now.digest == self.digest => Since::SameBytes(now),
            _ => Since::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of long ago, as far as the time of its bytes goes.
    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("header.h");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_that_was_just_written_is_told_by_its_bytes() {
        let (_folder, path) = written("one");
        let (file, bytes) = SourceFile::read(&path).unwrap();
        assert_eq!(bytes, b"one");
        assert!(!file.is_settled);
        assert!(matches!(file.since(), Since::SameBytes(now) if now.digest == file.digest));
        // As many bytes, perhaps within the same tick: only the bytes tell.
        fs::write(&path, "two").unwrap();
        assert_eq!(file.since(), Since::Changed);
        fs::remove_file(&path).unwrap();
        assert_eq!(file.since(), Since::Changed);
    }

    #[test]
    fn a_settled_file_is_told_by_its_stamp_until_that_differs() {
        let (_folder, path) = written("one");
        let (mut file, _) = SourceFile::read(&path).unwrap();
        file.is_settled = true;
        // Not read: the digest is not that of the file.
        file.digest = [0; 32];
        assert_eq!(file.since(), Since::Same);
        for part in 0..3 {
            let mut other = file.clone();
            other.stamp.identity[part] ^= 1;
            assert_eq!(other.since(), Since::Changed, "identity {part}");
        }
        for part in 0..4 {
            let mut other = file.clone();
            other.stamp.times[part] ^= 1;
            assert_eq!(other.since(), Since::Changed, "time {part}");
        }
    }

    #[test]
    fn a_stamp_settles_some_seconds_after_the_last_change_of_either_kind() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let stamp = |modified, changed| FileStamp {
            identity: [0; 3],
            times: [modified, 999_999_999, changed, 999_999_999],
        };
        assert!(stamp(100, 90).is_settled(at(103)));
        assert!(!stamp(100, 90).is_settled(at(102)));
        assert!(!stamp(90, 100).is_settled(at(102)));
        // A date before 1970 is no date to rely on.
        assert!(!stamp(-5, -5).is_settled(at(100)));
    }
}
