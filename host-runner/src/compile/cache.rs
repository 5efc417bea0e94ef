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
use crate::source_file::{FileStamp, SourceFile};

/// Raised when the meaning of an entry changes; older entries are then not found.
const LAYOUT_VERSION: &[u8] = b"simpler-rs compile cache 1";

/// The compile cache, or none.
#[derive(Debug)]
pub(super) struct Cache {
    /// The folder of the entries; `None` keeps nothing.
    folder: Option<PathBuf>,
    /// Files read so far; headers are shared by most sources of a build.
    sources: Mutex<HashMap<PathBuf, Option<SourceFile>>>,
}

impl Cache {
    /// Opens the cache in `folder`, which need not exist yet.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, sources: Mutex::default() }
    }

    /// Forgets what was read of files, so that edits since the last build are seen.
    pub(super) fn forget_sources(&self) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Starts a base key.
    pub(super) fn base_key() -> DigestFields {
        DigestFields::default().field(LAYOUT_VERSION)
    }

    /// Returns the output that was kept for this base key, if nothing it was made of has changed,
    /// and what it was made of.
    pub(super) fn lookup(&self, base: &Digest) -> Option<(Vec<u8>, Vec<SourceFile>)> {
        let list = read(&self.list_path(base)?).ok()?;
        let sources = self.sources(&decode_list(&list)?)?;
        let entry = read(&self.built_path(&full_key(base, &sources))?).ok()?;
        let (digest, output) = entry.split_at_checked(Digest::BYTES)?;
        (Digest::of(output).bytes() == digest).then(|| (output.to_vec(), sources))
    }

    /// Keeps an output that was made from `files` by a compile that began at `started`.
    ///
    /// A file that has changed since then may or may not be what the compiler saw, so nothing is
    /// kept. Returns the files as they were read for that, if the output was kept.
    pub(super) fn store(
        &self,
        base: &Digest,
        files: &[PathBuf],
        output: &[u8],
        started: SystemTime,
    ) -> Option<Vec<SourceFile>> {
        // Another step of this build may have read it, before the compiler did.
        let unchanged = |file: &SourceFile| {
            let data = fs::metadata(&file.path);
            data.is_ok_and(|data| {
                FileStamp::of(&data) == file.stamp
                    && data.modified().is_ok_and(|time| time <= started)
            })
        };
        let sources = self.sources(files).filter(|sources| sources.iter().all(unchanged))?;
        let (built, list) = (self.built_path(&full_key(base, &sources))?, self.list_path(base)?);
        let mut entry = Digest::of(output).bytes().to_vec();
        entry.extend_from_slice(output);
        // The list comes last: it is what makes the entry findable.
        let written = write_atomically(&built, &entry)
            .and_then(|()| write_atomically(&list, &encode_list(files)));
        if let Err(error) = &written {
            tracing::warn!(%error, "the compile cache cannot be written, so nothing is kept");
        }
        written.is_ok().then_some(sources)
    }

    /// The files as they are now, or `None` if one cannot be read.
    fn sources(&self, files: &[PathBuf]) -> Option<Vec<SourceFile>> {
        files.iter().map(|file| self.source(file)).collect()
    }

    /// A file as it is now, read at most once between calls of `forget_sources`.
    fn source(&self, file: &Path) -> Option<SourceFile> {
        let known = self.sources.lock().unwrap_or_else(PoisonError::into_inner).get(file).cloned();
        if let Some(source) = known {
            return source;
        }
        let source = SourceFile::read(file).ok().map(|(source, _)| source);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.insert(file.to_owned(), source.clone());
        source
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

/// The full key of a base key.
fn full_key(base: &Digest, sources: &[SourceFile]) -> Digest {
    let mut fields = DigestFields::default().field(base.bytes());
    for file in sources {
        fields = fields.field(file.path.as_os_str().as_encoded_bytes()).field(&file.digest);
    }
    fields.finish()
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
        let later = SystemTime::now() + Duration::from_secs(1);
        let kept = cache.store(&base, files, b"output", later).unwrap();
        assert_eq!(kept[0].path, header);
        (folder, header, base)
    }

    fn lookup(folder: &tempfile::TempDir, base: &Digest) -> Option<Vec<u8>> {
        let found = Cache::new(Some(folder.path().join("cache"))).lookup(base);
        found.map(|(output, _)| output)
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
        assert_eq!(cache.store(&Digest::of(b"base"), &files, b"output", before), None);
        assert_eq!(cache.lookup(&Digest::of(b"base")), None);
    }

    #[test]
    fn a_file_changed_after_another_step_read_it_keeps_nothing() {
        let (folder, header, base) = stored();
        let cache = Cache::new(Some(folder.path().join("cache")));
        assert!(cache.lookup(&base).is_some());
        fs::write(&header, "changed, then compiled").unwrap();
        let later = SystemTime::now() + Duration::from_secs(1);
        assert_eq!(cache.store(&Digest::of(b"other"), &[header], b"output", later), None);
    }

    #[test]
    fn a_cache_without_a_folder_keeps_nothing() {
        let cache = Cache::new(None);
        assert_eq!(cache.store(&Digest::of(b"base"), &[], b"output", SystemTime::now()), None);
        assert_eq!(cache.lookup(&Digest::of(b"base")), None);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        fs::write(&blocked, "").unwrap();
        let cache = Cache::new(Some(blocked));
        assert_eq!(cache.store(&Digest::of(b"base"), &[], b"output", SystemTime::now()), None);
    }
}
