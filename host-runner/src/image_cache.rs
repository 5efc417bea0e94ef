//! Planned images and packed callables, kept on the disk for the next process.
//!
//! What a process spends until a callable is registered (x86-64, three kernels, 190 KB): about
//! 9 ms to find out that no source has changed (it asks the compiler for its version, and reads
//! and hashes 240 headers), 0.7 ms to load kernels, 7 µs to check and plan the orchestration. So
//! there are two kinds of entries:
//!
//! ```text
//! build    what a manifest is built from ──▶ files, with digests and stamps; verdict; the blob
//!          one look-up: no compiler is started, nothing is compiled, packed or planned
//! planned  bytes of an image, its entry  ──▶ verdict
//!          for callables that come as bytes; hashing them costs more than planning them here, so
//!          this pays on machines that hash faster than they plan, and it proves the verdict
//! ```
//!
//! A **verdict** ([`PlannedImage`]) says that an image passed the checks of the host, and what it
//! imports. It is bound to the exact bytes by their SHA-256, to the sources that the loader and the
//! compiler front of this program were built from, to the machine and to the page size; whether the imports are offered is asked in each process.
//!
//! # What it can not do
//!
//! A verdict spares the host its own checks, nothing else. The executor plans every image by
//! itself, from the bytes that it loads, and sees no entry of any cache; a kernel is checked each
//! time, because the system's loader, which opens it, trusts its input. A wrong verdict therefore
//! shows as a load that the device refuses. A wrong *blob* would be wrong code: that is why the
//! folder has to be the user's own, and why digests are SHA-256.
//!
//! # What is noticed
//!
//! Entries are written whole or not at all. One that is cut off, changed in any bit, of another
//! format, in the wrong place, a link, somebody else's or writable by others is logged, counted,
//! passed by as if it were not there, and written anew. A folder that cannot be used costs time,
//! not correctness. Not noticed is what the compile cache does not notice either
//! (`compile::cache`).
//!
//! The folder holds at most so many bytes ([`ImageCache::with_limit`]); what was not used for
//! longest goes first.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::compile::DigestFields;
use crate::device::orchestration_check::planner;

pub mod entry;
mod folder;
#[cfg(test)]
mod tests;

pub use entry::{EntryError, FolderError, PlannedImage, PlannedImport};
pub(crate) use entry::{KeptBuild, Key};

use entry::Kind;
use folder::PrivateFolder;

/// Bytes that a folder holds at most unless somebody says otherwise.
pub const LIMIT_DEFAULT: u64 = 256 << 20;
/// Images of this process whose verdict is at hand without a look at the disk.
const RECENT_IMAGES: usize = 16;
/// Larger images are not held in memory for that.
const RECENT_IMAGE_BYTES: usize = 4 << 20;

/// What a cache has done in this process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CacheCounters {
    /// Questions that were answered.
    pub hits: u64,
    /// Questions that were not.
    pub misses: u64,
    /// Entries that were damaged or not to be trusted; each is a miss too.
    pub corrupt: u64,
    /// Entries written.
    pub written: u64,
    /// Entries that had to go for the limit.
    pub evicted: u64,
    /// Orchestrations that the host checked and planned by itself, whether they passed or not.
    pub plans: u64,
}

/// A cache in one folder, for any number of threads and processes.
#[derive(Debug)]
pub struct ImageCache {
    folder: PrivateFolder,
    limit: u64,
    /// What verdicts depend on besides the bytes.
    planner: String,
    counters: AtomicCounters,
    recent: Mutex<VecDeque<Recent>>,
}

/// Two are equal that keep their entries in the same folder.
impl PartialEq for ImageCache {
    fn eq(&self, other: &Self) -> bool {
        self.folder.path() == other.folder.path()
    }
}

impl Eq for ImageCache {}

/// An image whose verdict this process knows.
#[derive(Debug)]
struct Recent {
    image: Box<[u8]>,
    entry: String,
    planned: Arc<PlannedImage>,
}

/// [`CacheCounters`] that threads count up.
#[derive(Debug, Default)]
struct AtomicCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    corrupt: AtomicU64,
    written: AtomicU64,
    evicted: AtomicU64,
    plans: AtomicU64,
}

impl ImageCache {
    /// Opens the cache in `folder`, which is made for this user alone if it is not there.
    ///
    /// # Errors
    ///
    /// [`FolderError`] where it cannot be made, or is not this user's alone.
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        Ok(Self {
            folder: PrivateFolder::create(folder)?,
            limit: LIMIT_DEFAULT,
            planner: planner(),
            counters: AtomicCounters::default(),
            recent: Mutex::default(),
        })
    }

    /// The same with another limit for the bytes of all its files; [`LIMIT_DEFAULT`] otherwise.
    #[must_use]
    pub fn with_limit(self, bytes: u64) -> Self {
        Self { limit: bytes, ..self }
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> CacheCounters {
        // ORDERING: Relaxed: numbers for people.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let AtomicCounters { hits, misses, corrupt, written, evicted, plans } = &self.counters;
        CacheCounters {
            hits: read(hits),
            misses: read(misses),
            corrupt: read(corrupt),
            written: read(written),
            evicted: read(evicted),
            plans: read(plans),
        }
    }

    /// The verdict on an image for an entry: a kept one, else that of `plan`, which is kept.
    ///
    /// # Errors
    ///
    /// Those of `plan`; a refusal is not kept.
    pub(crate) fn planned<E>(
        &self,
        image: &[u8],
        entry: &str,
        plan: impl FnOnce() -> Result<PlannedImage, E>,
    ) -> Result<Arc<PlannedImage>, E> {
        if let Some(planned) = self.recent(image, entry) {
            count(&self.counters.hits);
            return Ok(planned);
        }
        let key = self.key(&[image, entry.as_bytes()]);
        if let Some(planned) = self.find(Kind::Planned, &key, PlannedImage::of_payload) {
            return Ok(self.remember(image, entry, planned));
        }
        let planned = self.plan(plan)?;
        self.keep(Kind::Planned, &key, &planned.payload());
        Ok(self.remember(image, entry, planned))
    }

    /// Has an image planned, and counts that.
    pub(crate) fn plan<E>(
        &self,
        plan: impl FnOnce() -> Result<PlannedImage, E>,
    ) -> Result<PlannedImage, E> {
        count(&self.counters.plans);
        plan()
    }

    /// Holds the verdict on an image in memory, for the rest of this process.
    pub(crate) fn remember(
        &self,
        image: &[u8],
        entry: &str,
        planned: PlannedImage,
    ) -> Arc<PlannedImage> {
        let planned = Arc::new(planned);
        if image.len() <= RECENT_IMAGE_BYTES {
            let (image, entry) = (image.into(), entry.to_owned());
            let mut recent = self.recent_images();
            recent.truncate(RECENT_IMAGES - 1);
            recent.push_front(Recent { image, entry, planned: Arc::clone(&planned) });
        }
        planned
    }

    /// A verdict in memory. All bytes are compared, which costs less than to hash them.
    fn recent(&self, image: &[u8], entry: &str) -> Option<Arc<PlannedImage>> {
        let recent = self.recent_images();
        let found = recent.iter().find(|each| each.entry == entry && *each.image == *image)?;
        Some(Arc::clone(&found.planned))
    }

    fn recent_images(&self) -> MutexGuard<'_, VecDeque<Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The build that was kept under a key, if `read` makes something of it.
    pub(crate) fn find_build<T>(
        &self,
        key: &Key,
        read: impl FnOnce(KeptBuild) -> Result<Option<T>, EntryError>,
    ) -> Option<T> {
        let read_entry = |payload: &[u8]| read(KeptBuild::of_payload(payload)?);
        self.look_up(Kind::Build, key, read_entry)
    }

    /// Keeps a build.
    pub(crate) fn keep_build(&self, key: &Key, build: &KeptBuild) {
        self.keep(Kind::Build, key, &build.payload());
    }

    /// A key of these parts and all that verdicts depend on.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        let mut fields = DigestFields::default().field(self.planner.as_bytes());
        for part in parts {
            fields = fields.field(part);
        }
        *fields.finish().bytes()
    }

    /// Where an entry is.
    fn name(kind: Kind, key: &Key) -> String {
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digits}.{}", kind.suffix())
    }

    /// Reads an entry that is good if it can be read.
    fn find<T>(
        &self,
        kind: Kind,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Result<T, EntryError>,
    ) -> Option<T> {
        self.look_up(kind, key, |payload| read(payload).map(Some))
    }

    /// Reads an entry, and counts what came of it. `Ok(None)` of `read` is a good entry that does
    /// not hold any more.
    fn look_up<T>(
        &self,
        kind: Kind,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Result<Option<T>, EntryError>,
    ) -> Option<T> {
        let name = Self::name(kind, key);
        let found = self.folder.read(&name, self.limit).and_then(|bytes| match bytes {
            Some(bytes) => read(entry::payload(kind, key, &bytes)?),
            None => Ok(None),
        });
        let found = found.unwrap_or_else(|error| {
            count(&self.counters.corrupt);
            let path = self.folder.path().join(name);
            tracing::warn!(
                path = %path.display(), %error,
                "an entry of the image cache is ignored and will be written anew; if this is said \
                 again, remove the file and see who writes there"
            );
            None
        });
        count(if found.is_some() { &self.counters.hits } else { &self.counters.misses });
        found
    }

    /// Writes an entry. Where that cannot be done, nothing is kept.
    fn keep(&self, kind: Kind, key: &Key, payload: &[u8]) {
        let bytes = entry::framed(kind, key, payload);
        // CAST: usize is at most 64 bits.
        if bytes.len() as u64 > self.limit {
            tracing::info!(bytes = bytes.len(), "too large for the image cache");
            return;
        }
        match self.folder.write(&Self::name(kind, key), &bytes) {
            Ok(()) => {
                count(&self.counters.written);
                let evicted = self.folder.shrink(self.limit);
                // ORDERING: Relaxed: a number for people.
                self.counters.evicted.fetch_add(evicted, Ordering::Relaxed);
            }
            Err(error) => {
                let folder = self.folder.path().display();
                tracing::warn!(%folder, %error, "the image cache cannot be written: nothing is kept");
            }
        }
    }
}

/// Counts up by one.
fn count(counter: &AtomicU64) {
    // ORDERING: Relaxed: a number for people.
    counter.fetch_add(1, Ordering::Relaxed);
}
