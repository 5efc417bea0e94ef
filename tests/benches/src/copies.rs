//! The floors of moving bytes: a copy that finds them in the caches, and one that does not.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::rounds::Subject;

/// Bytes of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Where a copy finds its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caches {
    /// Source and target are in the caches, as far as they fit.
    Warm,
    /// Neither is, as for bytes that were just read or computed by others.
    Cold,
    /// Nor has the target any memory yet: the system gives it page by page.
    ColdToNewPages,
}

/// A copy of some bytes.
pub(crate) struct Copy {
    caches: Caches,
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Copy {
    /// A copy of this many bytes.
    pub(crate) fn new(caches: Caches, bytes: usize) -> Self {
        // CAST: any byte will do.
        let from = (0..bytes).map(|at| (at * 31) as u8).collect();
        Self { caches, from, to: vec![1; bytes] }
    }
}

impl Subject for Copy {
    fn operate(&mut self) -> Result<Duration> {
        if self.caches != Caches::Warm {
            flush(&self.from);
            flush(&self.to);
        }
        if self.caches == Caches::ColdToNewPages {
            return Ok(to_new_pages(&self.from));
        }
        let start = Instant::now();
        black_box(&mut self.to).copy_from_slice(black_box(&self.from));
        black_box(&self.to);
        Ok(start.elapsed())
    }
}

/// Copies to memory that nobody has touched. The system is asked for the memory before the clock
/// starts, and gives it when it is touched.
fn to_new_pages(from: &[u8]) -> Duration {
    let mapping = Mapping::new(from.len());
    let start = Instant::now();
    mapping.fill(black_box(from));
    start.elapsed()
}

/// Fresh memory of the system's.
struct Mapping {
    at: *mut libc::c_void,
    bytes: usize,
}

impl Mapping {
    fn new(bytes: usize) -> Self {
        let (rights, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing else.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, rights, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED, "no memory for {bytes} bytes");
        Self { at, bytes }
    }

    fn fill(&self, from: &[u8]) {
        assert!(from.len() <= self.bytes, "the mapping is as large as what is copied");
        // SAFETY: the mapping has room, and nobody else knows of it.
        unsafe { self.at.cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once.
        unsafe { libc::munmap(self.at, self.bytes) };
    }
}

/// Takes bytes out of all caches.
#[cfg(target_arch = "x86_64")]
pub(crate) fn flush(bytes: &[u8]) {
    use core::arch::x86_64::{_mm_clflush, _mm_mfence};
    for line in bytes.chunks(LINE) {
        // SAFETY: an address inside the slice.
        unsafe { _mm_clflush(line.as_ptr()) };
    }
    // SAFETY: a fence has no requirement.
    unsafe { _mm_mfence() };
}

/// Takes bytes out of all caches, by filling them with others.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn flush(_: &[u8]) {
    let others = vec![1_u8; 64 << 20];
    black_box(others.iter().map(|&byte| u64::from(byte)).sum::<u64>());
}
