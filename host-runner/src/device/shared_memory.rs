//! Memory of a device that its peers and the host use while runs are in flight.
//!
//! Whoever may still reach it holds a reference: the group that made it and every device it is
//! attached to. A lost device keeps its references for good, as its code may go on reading, so the
//! memory stays too, whatever becomes of its owner.
//!
//! Kernels read and write it without asking anybody, so the host touches it with atomic operations
//! only: by words of 32 bits, which is what signals between chips are (spec hbg B9).

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use protocol::DeviceAddr;
use rustix::io::Errno;
use zerocopy::FromZeros;

use super::MemoryError;

#[expect(unsafe_code, reason = "maps memory, and looks at it as atomic words")]
mod mapping;

use mapping::Mapping;

/// Bytes of a word.
const WORD: usize = size_of::<u32>();

/// A cache line; what every record asks for as alignment.
#[derive(Debug, FromZeros)]
#[repr(C, align(64))]
struct Line([AtomicU32; Line::WORDS]);

impl Line {
    const WORDS: usize = 16;
    const BYTES: usize = Self::WORDS * WORD;
}

/// A range of device memory with several users.
#[derive(Debug)]
pub struct SharedMemory {
    backing: Backing,
    bytes: usize,
}

/// What it is made of.
#[derive(Debug)]
enum Backing {
    /// Memory of this process.
    Lines(Box<[Line]>),
    /// A file that other processes map as well.
    Mapping(Mapping),
}

impl SharedMemory {
    /// Allocates `bytes` zeroed bytes, aligned to 64.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`].
    pub fn allocate(bytes: usize) -> Result<Arc<Self>, MemoryError> {
        let lines = <[Line]>::new_box_zeroed_with_elems(bytes.div_ceil(Line::BYTES).max(1))
            .map_err(|_refused| MemoryError::Exhausted { bytes })?;
        Ok(Arc::new(Self { backing: Backing::Lines(lines), bytes }))
    }

    /// Maps `bytes` bytes of a file from `offset` on, a multiple of the page size. Other processes
    /// that map them see every change.
    ///
    /// The file has all of the pages, and nobody shortens it: the system ends a process that
    /// touches what is behind the end of a file.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn of_file(
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: usize,
    ) -> Result<Arc<Self>, Errno> {
        let mapping = Mapping::of_file(file, offset, bytes.div_ceil(Line::BYTES).max(1))?;
        Ok(Arc::new(Self { backing: Backing::Mapping(mapping), bytes }))
    }

    /// Where it is, for the AICPU, for kernels and for records on the device.
    pub fn address(&self) -> DeviceAddr {
        // CAST: usize is 64 bits on the supported targets. The address is exposed because kernels
        // get it as a number; all of it is atomic words, which they may change under our eyes.
        DeviceAddr::new(self.lines().as_ptr().expose_provenance() as u64)
    }

    /// Its size in bytes; never changes.
    pub fn byte_len(&self) -> usize {
        self.bytes
    }

    /// Copies `from` to the bytes from `offset` on; a whole word at once where a word is whole.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    pub fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), MemoryError> {
        self.check(offset, from.len())?;
        // ORDERING: Release: whoever sees one of the words below sees what was copied by earlier
        // calls. Within a call the order is open.
        fence(Ordering::Release);
        for_each_word(offset, from.len(), |index, inner, outer| {
            let word = self.word(index);
            let part = &from[outer];
            if part.len() == WORD {
                let mut bytes = [0; WORD];
                bytes.copy_from_slice(part);
                // ORDERING: Relaxed: behind the fence.
                word.store(u32::from_ne_bytes(bytes), Ordering::Relaxed);
                return;
            }
            let merged = |old: u32| {
                let mut bytes = old.to_ne_bytes();
                bytes[inner.clone()].copy_from_slice(part);
                Some(u32::from_ne_bytes(bytes))
            };
            // A kernel may write the other bytes meanwhile; those must not be put back.
            // ORDERING: Relaxed: as above. It always succeeds in the end: `merged` gives a word.
            let _old = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, merged);
        });
        Ok(())
    }

    /// Copies the bytes from `offset` on to `to`.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<(), MemoryError> {
        self.check(offset, to.len())?;
        for_each_word(offset, to.len(), |index, inner, outer| {
            // ORDERING: Relaxed: before the fence.
            let bytes = self.word(index).load(Ordering::Relaxed).to_ne_bytes();
            to[outer].copy_from_slice(&bytes[inner]);
        });
        // ORDERING: Acquire: what a kernel wrote before a word that was seen here is seen by the
        // next call.
        fence(Ordering::Acquire);
        Ok(())
    }

    /// A word by its index; beyond the last line it panics.
    pub(crate) fn word(&self, index: usize) -> &AtomicU32 {
        &self.lines()[index / Line::WORDS].0[index % Line::WORDS]
    }

    fn lines(&self) -> &[Line] {
        match &self.backing {
            Backing::Lines(lines) => lines,
            Backing::Mapping(mapping) => mapping.lines(),
        }
    }

    fn check(&self, offset: usize, bytes: usize) -> Result<(), MemoryError> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => {
                let address = DeviceAddr::new(self.address().raw().saturating_add(offset as u64));
                Err(MemoryError::OutOfRange { address, bytes })
            }
        }
    }
}

/// Calls `visit` for each word that has bytes of a range: its index, which of its bytes, and which
/// bytes of the range those are.
fn for_each_word(
    offset: usize,
    bytes: usize,
    mut visit: impl FnMut(usize, core::ops::Range<usize>, core::ops::Range<usize>),
) {
    let mut done = 0;
    while done < bytes {
        let at = offset + done;
        let first = at % WORD;
        let count = (WORD - first).min(bytes - done);
        visit(at / WORD, first..first + count, done..done + count);
        done += count;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn every_offset_and_length_writes_those_bytes_and_no_others() {
        writes_those_bytes(&SharedMemory::allocate(100).unwrap());
        writes_those_bytes(&SharedMemory::of_file(file().as_fd(), 0, 100).unwrap());
    }

    /// A page without a name.
    fn file() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        file
    }

    #[test]
    fn mappings_of_a_file_show_the_same_words_and_end_one_by_one() {
        let file = file();
        let map = || SharedMemory::of_file(file.as_fd(), 0, 64).unwrap();
        let (first, second) = (map(), map());
        assert_ne!(first.address(), second.address());
        first.copy_in(3, &[7, 8, 9]).unwrap();
        let mut bytes = [0; 3];
        second.copy_out(3, &mut bytes).unwrap();
        assert_eq!(bytes, [7, 8, 9]);
        let start = format!("{:x}-", first.address().raw());
        let is_mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains(&start);
        let kept = Arc::clone(&first);
        drop(first);
        assert!(is_mapped(), "somebody has it still");
        drop(kept);
        assert!(!is_mapped(), "the last one has let go");
        second.copy_in(0, &[1]).unwrap();
        assert!(SharedMemory::of_file(file.as_fd(), 1, 64).is_err(), "not on a page");
    }

    fn writes_those_bytes(memory: &SharedMemory) {
        assert!(memory.address().is_aligned_to(64));
        let mut expected = [0_u8; 100];
        let mut next = 0_u8;
        for offset in 0..40 {
            for length in 0..20 {
                let bytes: Vec<u8> = (0..length).map(|at| next.wrapping_add(at)).collect();
                next = next.wrapping_add(41);
                memory.copy_in(offset, &bytes).unwrap();
                expected[offset..offset + bytes.len()].copy_from_slice(&bytes);
                let mut whole = [1; 100];
                memory.copy_out(0, &mut whole).unwrap();
                assert_eq!(whole, expected);
                let mut part = vec![0; bytes.len()];
                memory.copy_out(offset, &mut part).unwrap();
                assert_eq!(part, bytes);
            }
        }
    }

    #[test]
    fn ranges_that_leave_it_are_refused() {
        let memory = SharedMemory::allocate(6).unwrap();
        assert_eq!(memory.copy_in(6, &[]), Ok(()));
        for (offset, bytes) in [(0, 7), (6, 1), (7, 0), (usize::MAX, 1)] {
            let refused = memory.copy_in(offset, &vec![0; bytes]);
            assert!(matches!(refused, Err(MemoryError::OutOfRange { .. })), "{offset}, {bytes}");
            assert_eq!(memory.copy_out(offset, &mut vec![0; bytes]), refused);
        }
    }

    #[test]
    fn a_size_that_no_machine_has_is_refused() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert_eq!(
                SharedMemory::allocate(bytes).map(|_| ()),
                Err(MemoryError::Exhausted { bytes })
            );
        }
    }
}
