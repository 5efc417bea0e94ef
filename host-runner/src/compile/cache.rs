//! Compiled files, kept by content.
//!
//! Two steps, because the headers a source includes are known only after a compile:
//!
//! ```text
//! base key = SHA-256(compiler, flags, linked objects, path and bytes of the source)
//! list/<base>            the files that the last compile of this base key really read
//! full key = SHA-256(base key, then path and digest of each listed file as it is now)
//! built/<full>           digest of the output, then the output
//! ```
//!
//! The path of the source belongs to the key: two checkouts may have equal sources and different
//! headers beside them, and debug information names the path. Not noticed are: a new header that
//! would be found *earlier* on the include path than a listed one, variables that change what the
//! compiler finds (`CPATH` and the like), and files that assembly includes (`.incbin`).
//!
//! Entries are written atomically and carry their own digest, so a damaged or half-written one is
//! a miss. A cache that cannot be written costs time, not correctness: it is logged and passed by.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::digest::{Digest, DigestFields};
use super::file::{read, write_atomically};

/// Raised when the meaning of an entry changes; older entries are then not found.
const LAYOUT_VERSION: &[u8] = b"simpler-rs compile cache 1";

/// The compile cache, or none.
#[derive(Debug)]
pub(super) struct Cache {
    /// The folder of the entries; `None` keeps nothing.
    folder: Option<PathBuf>,
    /// Digests of files read so far; headers are shared by most sources of a build.
    digests: Mutex<HashMap<PathBuf, Option<Digest>>>,
}

impl Cache {
    /// Opens the cache in `folder`, which need not exist yet.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, digests: Mutex::default() }
    }

    /// Forgets the digests of files, so that edits since the last build are seen.
    pub(super) fn forget_digests(&self) {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Starts a base key.
    pub(super) fn base_key() -> DigestFields {
        DigestFields::default().field(LAYOUT_VERSION)
    }

    /// Returns the output that was kept for this base key, if nothing it was made of has changed.
    pub(super) fn lookup(&self, base: &Digest) -> Option<Vec<u8>> {
        let list = read(&self.list_path(base)?).ok()?;
        let files = decode_list(&list)?;
        let entry = read(&self.built_path(&self.full_key(base, &files)?)?).ok()?;
        let (digest, output) = entry.split_at_checked(Digest::BYTES)?;
        (Digest::of(output).bytes() == digest).then(|| output.to_vec())
    }

    /// Keeps an output that was made from `files` by a compile that began at `started`.
    ///
    /// A file that has changed since then may or may not be what the compiler saw, so nothing is
    /// kept. Returns whether the output was kept.
    pub(super) fn store(
        &self,
        base: &Digest,
        files: &[PathBuf],
        output: &[u8],
        started: SystemTime,
    ) -> bool {
        let unchanged = |file: &PathBuf| {
            fs::metadata(file).and_then(|data| data.modified()).is_ok_and(|time| time <= started)
        };
        let key = self.full_key(base, files).filter(|_| files.iter().all(unchanged));
        let paths = key.and_then(|key| Some((self.built_path(&key)?, self.list_path(base)?)));
        let Some((built, list)) = paths else { return false };
        let mut entry = Digest::of(output).bytes().to_vec();
        entry.extend_from_slice(output);
        // The list comes last: it is what makes the entry findable.
        let written = write_atomically(&built, &entry)
            .and_then(|()| write_atomically(&list, &encode_list(files)));
        if let Err(error) = &written {
            tracing::warn!(%error, "the compile cache cannot be written, so nothing is kept");
        }
        written.is_ok()
    }

    /// The full key of a base key, or `None` if a file cannot be read.
    fn full_key(&self, base: &Digest, files: &[PathBuf]) -> Option<Digest> {
        let mut fields = DigestFields::default().field(base.bytes());
        for file in files {
            let digest = self.file_digest(file)?;
            fields = fields.field(file.as_os_str().as_encoded_bytes()).field(digest.bytes());
        }
        Some(fields.finish())
    }

    /// The digest of a file as it is now, read at most once between calls of `forget_digests`.
    fn file_digest(&self, file: &Path) -> Option<Digest> {
        let known = self.digests.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied();
        if let Some(digest) = known {
            return digest;
        }
        let digest = read(file).ok().map(|bytes| Digest::of(&bytes));
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.insert(file.to_owned(), digest);
        digest
    }

    /// Where the list of a base key is kept.
    fn list_path(&self, base: &Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("list").join(base.hex()))
    }

    /// Where the output of a full key is kept.
    fn built_path(&self, full: &Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("built").join(full.hex()))
    }
}

/// Writes the paths one after the other, each ended by a NUL, which no path can hold.
fn encode_list(files: &[PathBuf]) -> Vec<u8> {
    let mut list = Vec::new();
    for file in files {
        list.extend_from_slice(file.as_os_str().as_encoded_bytes());
        list.push(0);
    }
    list
}

/// Reads what [`encode_list`] wrote; `None` if it was cut short.
fn decode_list(list: &[u8]) -> Option<Vec<PathBuf>> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let names = list.strip_suffix(&[0])?;
    Some(names.split(|byte| *byte == 0).map(|name| OsStr::from_bytes(name).into()).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A cache with one stored entry and the header it was made from.
    fn stored() -> (tempfile::TempDir, PathBuf, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let header = folder.path().join("header.h");
        fs::write(&header, "one").unwrap();
        let base = Digest::of(b"base");
        let cache = Cache::new(Some(folder.path().join("cache")));
        let files = std::slice::from_ref(&header);
        assert!(cache.store(&base, files, b"output", SystemTime::now() + Duration::from_secs(1)));
        (folder, header, base)
    }

    fn lookup(folder: &tempfile::TempDir, base: &Digest) -> Option<Vec<u8>> {
        Cache::new(Some(folder.path().join("cache"))).lookup(base)
    }

    #[test]
    fn an_entry_is_found_until_a_header_changes_and_again_when_it_is_changed_back() {
        let (folder, header, base) = stored();
        assert_eq!(lookup(&folder, &base).as_deref(), Some(&b"output"[..]));
        fs::write(&header, "two").unwrap();
        assert_eq!(lookup(&folder, &base), None);
        fs::write(&header, "one").unwrap();
        assert_eq!(lookup(&folder, &base).as_deref(), Some(&b"output"[..]));
        fs::remove_file(&header).unwrap();
        assert_eq!(lookup(&folder, &base), None);
    }

    #[test]
    fn another_base_key_finds_nothing() {
        let (folder, _, _) = stored();
        assert_eq!(lookup(&folder, &Digest::of(b"other")), None);
    }

    #[test]
    fn a_damaged_entry_is_a_miss() {
        for (kind, bytes) in [("built", &b"short"[..]), ("built", &[7; 64]), ("list", b"cut")] {
            let (folder, _, base) = stored();
            let entries = fs::read_dir(folder.path().join("cache").join(kind)).unwrap();
            for entry in entries {
                fs::write(entry.unwrap().path(), bytes).unwrap();
            }
            assert_eq!(lookup(&folder, &base), None, "{kind}");
        }
    }

    #[test]
    fn a_file_changed_during_the_compile_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let header = folder.path().join("header.h");
        fs::write(&header, "").unwrap();
        let cache = Cache::new(Some(folder.path().join("cache")));
        let before = SystemTime::now() - Duration::from_secs(60);
        let files = [header];
        assert!(!cache.store(&Digest::of(b"base"), &files, b"output", before));
        assert_eq!(cache.lookup(&Digest::of(b"base")), None);
    }

    #[test]
    fn a_cache_without_a_folder_keeps_nothing() {
        let cache = Cache::new(None);
        assert!(!cache.store(&Digest::of(b"base"), &[], b"output", SystemTime::now()));
        assert_eq!(cache.lookup(&Digest::of(b"base")), None);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        fs::write(&blocked, "").unwrap();
        let cache = Cache::new(Some(blocked));
        assert!(!cache.store(&Digest::of(b"base"), &[], b"output", SystemTime::now()));
    }
}
