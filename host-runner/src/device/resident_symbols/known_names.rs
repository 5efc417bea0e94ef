//! Answers that were given before, by name and version.
//!
//! A table with open addressing whose slots are written once and never again: readers follow a
//! chain of finished slots and take no lock. Only those who add a name wait for each other.
//!
//! Both kinds of answer are bounded. Names that exist fill at most half of the slots. Names that
//! do not exist come from images, which may invent any number of them, so they get a small part;
//! what finds no room is asked for again each time, which is slow and right.

use std::hash::Hasher;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustc_hash::FxHasher;

/// Slots; a power of two. An orchestration has about forty imports, and those of most are the
/// same.
const SLOTS: usize = 2048;
/// Slots that may be taken, so that chains stay short.
const NAMES_MAX: usize = SLOTS / 2;
/// Of these, names that do not exist.
const ABSENT_MAX: usize = 64;

/// One answer.
#[derive(Debug)]
struct Known {
    /// Hash of the name alone: most names are wanted in one version.
    hash: u64,
    /// Name and version, one behind the other.
    text: Box<[u8]>,
    name_bytes: usize,
    has_version: bool,
    /// The address, or that there is none.
    answer: Option<u64>,
}

impl Known {
    fn new(hash: u64, name: &[u8], version: Option<&[u8]>, answer: Option<u64>) -> Self {
        let text = [name, version.unwrap_or_default()].concat().into();
        Self { hash, text, name_bytes: name.len(), has_version: version.is_some(), answer }
    }

    fn is(&self, hash: u64, name: &[u8], version: Option<&[u8]>) -> bool {
        self.hash == hash
            && self.has_version == version.is_some()
            && self.name_bytes == name.len()
            && self.text.split_at_checked(name.len()).is_some_and(|(known, rest)| {
                equal(known, name) && equal(rest, version.unwrap_or_default())
            })
    }
}

/// Compares short texts in place: a call costs as much as comparing a name.
#[inline]
fn equal(one: &[u8], other: &[u8]) -> bool {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    one.len() == other.len()
        && words
            .iter()
            .zip(other_words)
            .all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
            // The last word, which may overlap the one before.
            (Some(a), Some(b)) => u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b),
            _ => rest.iter().zip(other_rest).all(|(a, b)| a == b),
        }
}

/// How many slots are taken.
#[derive(Debug, Default)]
struct Taken {
    names: usize,
    absent: usize,
}

/// The table.
#[derive(Debug)]
pub(super) struct KnownNames {
    slots: Box<[OnceLock<Known>; SLOTS]>,
    taken: Mutex<Taken>,
}

impl Default for KnownNames {
    fn default() -> Self {
        let slots = Box::new([const { OnceLock::new() }; SLOTS]);
        Self { slots, taken: Mutex::default() }
    }
}

impl KnownNames {
    /// Returns the answer for a name, `None` if there is none yet.
    pub(super) fn get(&self, name: &[u8], version: Option<&[u8]>) -> Option<Option<u64>> {
        let hash = hash(name);
        let mut position = hash;
        // Half of the slots stay empty, and an empty one ends the chain.
        while let Some(known) = self.slot(position).get() {
            if known.is(hash, name, version) {
                return Some(known.answer);
            }
            position = position.wrapping_add(1);
        }
        None
    }

    /// Keeps the answer for a name, if there is room.
    pub(super) fn insert(&self, name: &[u8], version: Option<&[u8]>, answer: Option<u64>) {
        // A thread that panicked while it held the lock has at most counted a name too many.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_absent = usize::from(answer.is_none());
        // Another thread may have been faster.
        if taken.names == NAMES_MAX
            || taken.absent + is_absent > ABSENT_MAX
            || self.get(name, version).is_some()
        {
            return;
        }
        taken.names += 1;
        taken.absent += is_absent;
        let hash = hash(name);
        let mut known = Known::new(hash, name, version, answer);
        let mut position = hash;
        // Only who holds the lock sets slots, so each is either taken for good or free.
        while let Err(back) = self.slot(position).set(known) {
            known = back;
            position = position.wrapping_add(1);
        }
    }

    /// The slot at a position, counted on around the table.
    fn slot(&self, position: u64) -> &OnceLock<Known> {
        // CAST: only the low bits count.
        &self.slots[position as usize % SLOTS]
    }
}

/// The hash of a name.
fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_with_its_version_only() {
        let known = KnownNames::default();
        known.insert(b"memcpy", Some(b"V1"), Some(1));
        known.insert(b"memcpy", Some(b"V2"), Some(2));
        known.insert(b"memcpy", None, None);
        known.insert(b"memcpyV1", None, Some(3));
        let check = |name: &[u8], version: Option<&[u8]>, expected| {
            assert_eq!(known.get(name, version), expected, "{name:?} {version:?}");
        };
        check(b"memcpy", Some(b"V1"), Some(Some(1)));
        check(b"memcpy", Some(b"V2"), Some(Some(2)));
        check(b"memcpy", None, Some(None));
        check(b"memcpyV1", None, Some(Some(3)));
        check(b"memcpy", Some(b"V3"), None);
        check(b"memcp", Some(b"yV1"), None);
        known.insert(b"free", Some(b""), Some(4));
        check(b"free", Some(b""), Some(Some(4)));
        check(b"free", None, None);
    }

    #[test]
    fn texts_are_equal_byte_by_byte() {
        let text = b"a text of 27 bytes in words";
        for length in 0..=text.len() {
            let one = &text[..length];
            assert!(equal(one, one));
            assert_eq!(equal(one, text), length == text.len());
            for place in 0..length {
                let mut other = one.to_vec();
                other[place] ^= 0x80;
                assert!(!equal(one, &other), "{place} of {length}");
            }
        }
    }

    #[test]
    fn the_first_answer_stays() {
        let known = KnownNames::default();
        known.insert(b"name", None, Some(1));
        known.insert(b"name", None, Some(2));
        assert_eq!(known.get(b"name", None), Some(Some(1)));
    }

    #[test]
    fn names_that_do_not_exist_get_64_places_and_all_names_1024() {
        let known = KnownNames::default();
        let name = |index: u64| format!("name_{index}").into_bytes();
        for index in 0..100 {
            known.insert(&name(index), None, None);
        }
        for index in 100..2000 {
            known.insert(&name(index), None, Some(index));
        }
        let kept = |index: &u64| known.get(&name(*index), None).is_some();
        let expected: Vec<u64> = (0..64).chain(100..100 + 1024 - 64).collect();
        assert_eq!((0..2000).filter(kept).collect::<Vec<_>>(), expected);
        assert!((100..1060).all(|index| known.get(&name(index), None) == Some(Some(index))));
    }

    #[test]
    fn threads_that_add_the_same_names_agree() {
        let known = KnownNames::default();
        let name = |index: u64| format!("name_{index}").into_bytes();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let known = &known;
                scope.spawn(move || {
                    for index in 0..300 {
                        known.insert(&name(index), None, Some(1000 * thread + index));
                        let seen = known.get(&name(index), None).flatten();
                        assert_eq!(seen.map(|answer| answer % 1000), Some(index));
                        assert_eq!(known.get(&name(index), None).flatten(), seen);
                    }
                });
            }
        });
        assert_eq!(known.taken.lock().unwrap().names, 300);
    }
}
