//! Device memory in a file that another process maps, so that it copies without asking.
//!
//! First fit over free ranges, which lie in a map by address and grow together again. What is free is
//! zero, and so is what is handed out: who gives a range back zeroes it, and gives large ones back
//! to the system.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::param::page_size;

use super::ALLOCATION_ALIGN;
use crate::device::shared_file::SharedFile;

/// From how many bytes on a range goes back to the system when it is freed.
const GIVEN_BACK_FROM: usize = 1 << 20;

/// A file that allocations are made in.
#[derive(Debug)]
pub struct SharedArena {
    file: SharedFile,
    /// Bytes of each free range, by offset.
    free: Mutex<BTreeMap<usize, usize>>,
}

impl SharedArena {
    /// Takes a file of zeros.
    #[must_use]
    pub fn new(file: SharedFile) -> Self {
        let free = BTreeMap::from([(0, file.byte_len())]);
        Self { file, free: Mutex::new(free) }
    }

    /// Address of its first byte in this process.
    #[must_use]
    pub fn start(&self) -> NonNull<u8> {
        self.file.start()
    }

    /// Takes at least `bytes` zeroed bytes, at a multiple of [`ALLOCATION_ALIGN`]; `None` where there is no room.
    pub fn take(&self, bytes: usize) -> Option<NonNull<u8>> {
        let room = room_for(bytes)?;
        let mut free = self.free();
        let (&offset, &have) = free.iter().find(|(_, have)| **have >= room)?;
        free.remove(&offset);
        if have > room {
            free.insert(offset + room, have - room);
        }
        // SAFETY: inside the mapping.
        Some(unsafe { self.file.start().add(offset) })
    }

    /// Takes back what [`take`](Self::take) gave for so many bytes.
    ///
    /// # Safety
    ///
    /// It came from there, for so many bytes, and nobody uses it any more.
    pub unsafe fn give(&self, start: NonNull<u8>, bytes: usize) {
        let Some(room) = room_for(bytes) else { return };
        let offset = start.addr().get() - self.file.start().addr().get();
        self.clear(offset, room);
        let mut free = self.free();
        let (mut offset, mut room) = (offset, room);
        if let Some((&before, &have)) = free.range(..offset).next_back()
            && before + have == offset
        {
            free.remove(&before);
            (offset, room) = (before, have + room);
        }
        if let Some(have) = free.remove(&(offset + room)) {
            room += have;
        }
        free.insert(offset, room);
    }

    /// Zeroes a range, by pages where it is large.
    fn clear(&self, offset: usize, bytes: usize) {
        let page = page_size();
        let (first, end) = (offset.next_multiple_of(page), (offset + bytes) / page * page);
        let is_given_back =
            bytes >= GIVEN_BACK_FROM && self.file.give_back(first, end - first).is_ok();
        let edges = if is_given_back {
            [(offset, first), (end, offset + bytes)]
        } else {
            [(offset, offset + bytes), (0, 0)]
        };
        for (from, to) in edges {
            // SAFETY: inside the mapping, and nobody has it (`give`).
            unsafe { self.file.start().add(from).write_bytes(0, to - from) };
        }
    }

    fn free(&self) -> MutexGuard<'_, BTreeMap<usize, usize>> {
        // Nothing panics between two changes that belong together.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that an allocation takes.
fn room_for(bytes: usize) -> Option<usize> {
    bytes.max(1).checked_next_multiple_of(ALLOCATION_ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_apart_zeroed_and_grow_together_again() {
        let arena = SharedArena::new(SharedFile::new("test", 4 << 20).unwrap());
        let (one, two) = (arena.take(1).unwrap(), arena.take((2 << 20) + 5).unwrap());
        assert_eq!(two.addr().get() - one.addr().get(), 64);
        assert!(arena.take(2 << 20).is_none() && arena.take(usize::MAX).is_none());
        for (start, bytes) in [(one, 1), (two, (2 << 20) + 5)] {
            // SAFETY: (all) so many bytes were handed out, to nobody else, and are given back once.
            unsafe {
                start.write_bytes(0xAB, bytes);
                arena.give(start, bytes);
            }
        }
        let all = arena.take(4 << 20).unwrap();
        assert_eq!(all, arena.start());
        // SAFETY: handed out just now.
        let bytes = unsafe { std::slice::from_raw_parts(all.as_ptr(), 4 << 20) };
        assert!(bytes.iter().all(|byte| *byte == 0));
    }
}
