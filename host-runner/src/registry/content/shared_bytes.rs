//! Bytes that several owners share, and what they hash to.
//!
//! It stands apart because a callable is hundreds of kilobytes that nobody changes any more: whoever
//! keeps a part of it keeps a reference, the hash of a part is computed once, and two references to the
//! same part are equal without a look at the bytes.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use super::ContentKey;

/// Parts of one owner whose keys are remembered; a callable has a few that anybody asks for.
const KEYS_MAX: usize = 64;

/// What lends the bytes. It lends the same ones for as long as it lives.
type Lender = dyn AsRef<[u8]> + Send + Sync;

/// Bytes and the keys of their parts.
struct Owner {
    bytes: Box<Lender>,
    keys: Mutex<Vec<(Range<usize>, ContentKey)>>,
}

/// Bytes that nobody changes: all that an owner has, or a part.
#[derive(Clone)]
pub struct SharedBytes {
    owner: Arc<Owner>,
    part: Range<usize>,
}

impl SharedBytes {
    /// All bytes of an owner, which must lend the same ones each time.
    pub fn of(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        let part = 0..owner.as_ref().len();
        Self { owner: Arc::new(Owner { bytes: Box::new(owner), keys: Mutex::default() }), part }
    }

    /// The part that `bytes` are, which were borrowed from this value; a copy of other bytes.
    pub fn part(&self, bytes: &[u8]) -> Self {
        let whole = self.as_ref();
        let start = bytes.as_ptr().addr().checked_sub(whole.as_ptr().addr());
        let inside = start
            .filter(|start| start.checked_add(bytes.len()).is_some_and(|end| end <= whole.len()));
        match inside {
            Some(start) => {
                let start = self.part.start + start;
                Self { owner: Arc::clone(&self.owner), part: start..start + bytes.len() }
            }
            None => Self::of(bytes.to_vec()),
        }
    }

    /// Length and hash; computed when they are first asked for.
    pub fn key(&self) -> ContentKey {
        let mut keys = self.owner.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = keys.iter().find(|(part, _)| *part == self.part) {
            return *key;
        }
        let key = ContentKey::of(self);
        if keys.len() < KEYS_MAX {
            keys.push((self.part.clone(), key));
        }
        key
    }

    /// Whether both are the same part of the same owner, and so equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owner, &other.owner) && self.part == other.part
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        // Never shorter: see `of`.
        (*self.owner.bytes).as_ref().get(self.part.clone()).unwrap_or_default()
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl Eq for SharedBytes {}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_shared_and_other_bytes_are_copied() {
        let whole = SharedBytes::of(b"orchestration, kernel".to_vec());
        let kernel = whole.part(&whole[15..]);
        assert_eq!(*kernel, *b"kernel");
        assert!(kernel.is_same(&whole.part(&whole[15..])));
        assert!(!kernel.is_same(&whole) && kernel != whole);
        let inner = kernel.part(&kernel[1..3]);
        assert!(*inner == *b"er" && inner.is_same(&whole.part(&whole[16..18])));
        let other = whole.part(b"kernel");
        assert!(other == kernel && !other.is_same(&kernel));
        drop(whole);
        assert_eq!(*kernel, *b"kernel");
    }

    #[test]
    fn keys_are_those_of_the_parts() {
        let whole = SharedBytes::of((0..200).collect::<Vec<u8>>());
        for _ in 0..2 {
            for start in 0..100 {
                let part = whole.part(&whole[start..start + 100]);
                assert_eq!(part.key(), ContentKey::of(&part));
            }
        }
        assert_eq!(whole.key(), ContentKey::of(&whole));
        assert_eq!(whole.owner.keys.lock().unwrap().len(), KEYS_MAX);
    }
}
