//! Which byte sequences are the same.
//!
//! It stands apart because the rule is worth one place: contents are looked for by length and
//! XXH3-128 of *all* bytes, and a comparison of all bytes with the kept copy decides. So neither a
//! hash collision nor a chosen Build-ID can pass one image off as another (spec callable §7.1 H6).
//!
//! ```text
//!  bytes ──▶ (length, hash) ──▶ contents with both ──▶ compare in full ──▶ same one, or a new one
//! ```
//!
//! A Build-ID is no part of that search. It could only come before the hash, as a cheaper first key,
//! and it is not cheaper: reading it takes 0.3 µs, which is the hash of 15 KB or half that of 31 KB.
//! A new content needs the hash in any case, and without it images whose author gives them all one
//! Build-ID would be compared with one another in full. So the Build-ID is read of new contents only,
//! and what it leads to is a warning about different contents with the same one (`namesakes`).

use std::collections::HashMap;
use std::fmt;

use aicpu_executor::loader::BuildId;
use twox_hash::XxHash3_128;

use super::build_id;
use namesakes::Namesakes;

mod namesakes;
mod shared_bytes;

pub use shared_bytes::SharedBytes;

/// One content of a [`ContentIndex`]; never given twice by the same index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(u64);

/// Under what a content is looked for. Equal keys do not prove equal contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey {
    /// Length, in bytes.
    pub bytes: usize,
    /// Hash of all bytes.
    pub hash: u128,
}

impl ContentKey {
    /// The key of `bytes` with XXH3-128, without secret or seed.
    pub fn of(bytes: &[u8]) -> Self {
        Self::with::<Xxh3>(bytes)
    }

    fn with<H: ContentHash>(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len(), hash: H::hash(bytes) }
    }

    /// The first eight bytes of the hash, as it is written.
    pub const fn prefix(&self) -> u64 {
        // CAST: the upper half.
        (self.hash >> 64) as u64
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x} ({} bytes)", self.hash, self.bytes)
    }
}

/// How contents are hashed. The index is right for any function, and fast for good ones.
pub trait ContentHash {
    /// The hash of all of `bytes`.
    fn hash(bytes: &[u8]) -> u128;
}

/// XXH3-128: 0.6 µs for 31 KB with AVX2, which is looked for when the program runs.
#[derive(Debug, Clone, Copy)]
pub struct Xxh3;

impl ContentHash for Xxh3 {
    fn hash(bytes: &[u8]) -> u128 {
        XxHash3_128::oneshot(bytes)
    }
}

/// A kept content.
#[derive(Debug, Clone)]
pub struct Content {
    bytes: SharedBytes,
    key: ContentKey,
    build_id: Option<BuildId>,
}

impl Content {
    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length and hash.
    pub const fn key(&self) -> ContentKey {
        self.key
    }

    /// The GNU Build-ID, if it is an ELF image with one.
    pub const fn build_id(&self) -> Option<BuildId> {
        self.build_id
    }
}

/// A set of contents, each kept once.
#[derive(Debug)]
pub struct ContentIndex<H = Xxh3> {
    by_key: HashMap<ContentKey, Vec<ContentId>>,
    contents: HashMap<ContentId, Content>,
    namesakes: Namesakes,
    next: u64,
    hash: std::marker::PhantomData<H>,
}

impl<H> Default for ContentIndex<H> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            contents: HashMap::new(),
            namesakes: Namesakes::default(),
            next: 0,
            hash: std::marker::PhantomData,
        }
    }
}

impl ContentIndex {
    /// Returns the content that equals `bytes` in full.
    ///
    /// Reads them only where nobody has asked for their key, or where another owner's are kept.
    pub fn find_shared(&self, bytes: &SharedBytes) -> Option<ContentId> {
        self.find_keyed(bytes.key(), |kept| kept == bytes)
    }

    /// Returns the content that equals `bytes`, which are kept from now on if they were not.
    pub fn insert_shared(&mut self, bytes: &SharedBytes) -> ContentId {
        match self.find_shared(bytes) {
            Some(id) => id,
            None => self.keep(bytes.key(), bytes.clone()),
        }
    }
}

impl<H: ContentHash> ContentIndex<H> {
    /// Returns the content that equals `bytes` in full.
    ///
    /// Reads the bytes twice: 1.2 µs for 31 KB.
    pub fn find(&self, bytes: &[u8]) -> Option<ContentId> {
        self.find_keyed(ContentKey::with::<H>(bytes), |kept| **kept == *bytes)
    }

    fn find_keyed(
        &self,
        key: ContentKey,
        is_equal: impl Fn(&SharedBytes) -> bool,
    ) -> Option<ContentId> {
        let equal = |id: &&ContentId| self.get(**id).is_some_and(|each| is_equal(&each.bytes));
        self.by_key.get(&key)?.iter().find(equal).copied()
    }

    /// Returns the content that equals `bytes`, of which a copy is kept from now on if it was not.
    pub fn insert(&mut self, bytes: &[u8]) -> ContentId {
        let key = ContentKey::with::<H>(bytes);
        match self.find_keyed(key, |kept| **kept == *bytes) {
            Some(id) => id,
            None => self.keep(key, SharedBytes::of(bytes.to_vec())),
        }
    }

    /// Keeps what is not in the index.
    fn keep(&mut self, key: ContentKey, bytes: SharedBytes) -> ContentId {
        let id = ContentId(self.next);
        self.next += 1;
        let build_id = build_id::read(&bytes);
        if let Some(build_id) = build_id
            && let Some(other) = self.namesakes.add(build_id, id, key)
        {
            tracing::warn!(
                %build_id,
                content = %key,
                %other,
                "two different images have the same Build-ID; they are kept apart"
            );
        }
        self.by_key.entry(key).or_default().push(id);
        self.contents.insert(id, Content { bytes, key, build_id });
        id
    }

    /// A kept content.
    pub fn get(&self, id: ContentId) -> Option<&Content> {
        self.contents.get(&id)
    }

    /// Forgets a content and hands it out.
    pub fn remove(&mut self, id: ContentId) -> Option<Content> {
        let content = self.contents.remove(&id)?;
        if let Some(ids) = self.by_key.get_mut(&content.key) {
            ids.retain(|each| *each != id);
            if ids.is_empty() {
                self.by_key.remove(&content.key);
            }
        }
        if let Some(build_id) = &content.build_id {
            self.namesakes.remove(build_id, id);
        }
        Some(content)
    }

    /// Number of contents.
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }
}

#[cfg(test)]
mod tests;
