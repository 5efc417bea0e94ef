//! The buffers in which kernels leave their conditions: two a core, by the parity of the dispatch.
//!
//! A buffer whose core may be given the dispatch is clear: count and error code are zero. Memory
//! starts so, whoever finds a buffer otherwise clears it, and a run that failed has its buffers
//! cleared by the next one; the entries are never cleared. So a dispatch costs nothing here, and the
//! end of a kernel that defers nothing one load. It also leaves no line of the buffer dirty in the
//! AICPU's cache, where dropping it would write it back over what the core wrote.
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `count`, `error_code`, `entries` | the kernel, until FIN | the thread that owns the core, after FIN |
//! | `count`, `error_code` (zero) | the thread that owns the core | the kernel of the next dispatch |

use core::cell::UnsafeCell;

use protocol::{
    AsyncCtx, DeferredCompletionEntry, DeferredCompletionIngress, DeviceAddr, DispatchId,
    MAX_DEFERRED_CONDITIONS, TaskId,
};

use crate::platform::Platform;
use crate::scheduler::core_table::CORE_LIMIT;

/// The two buffers of a core.
#[derive(Debug)]
#[repr(C, align(64))]
struct IngressPair([DeferredCompletionIngress; 2]);

/// The buffers of all cores, by worker. Zeroes are a valid value: all clear.
#[derive(Debug)]
pub(crate) struct Ingresses {
    pairs: [UnsafeCell<IngressPair>; CORE_LIMIT],
}

// SAFETY: each method that touches a buffer says who may call it when; the core's accesses are
// ordered by the register write of the dispatch and the COND read of its FIN.
unsafe impl Sync for Ingresses {}

/// Bytes of count and error code.
const HEAD_BYTES: usize = 8;

/// What a kernel left, if it left anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Conditions, according to the kernel.
    pub(crate) count: u32,
    /// Its error, or 0.
    pub(crate) error_code: i32,
}

impl Ingresses {
    /// The buffer that dispatches of parity `buffer` use; no memory is touched.
    #[inline]
    fn buffer(&self, worker: usize, buffer: usize) -> *mut DeferredCompletionIngress {
        let pair = self.pairs.get(worker).map_or(core::ptr::null_mut(), UnsafeCell::get);
        pair.cast::<DeferredCompletionIngress>().wrapping_add(buffer & 1)
    }

    /// What kernels on that core and parity get; the token is for `fill` to write.
    pub(crate) fn context(&self, worker: usize, buffer: usize) -> AsyncCtx {
        let ingress = self.buffer(worker, buffer);
        let at = |offset: usize| {
            DeviceAddr::new(ingress.wrapping_byte_add(offset).expose_provenance() as u64)
        };
        AsyncCtx {
            completion_count: at(core::mem::offset_of!(DeferredCompletionIngress, count)),
            completion_error_code: at(core::mem::offset_of!(DeferredCompletionIngress, error_code)),
            completion_entries: at(core::mem::offset_of!(DeferredCompletionIngress, entries)),
            // CAST: 64.
            completion_capacity: MAX_DEFERRED_CONDITIONS as u32,
            reserved: 0,
            task_token: TaskId::INVALID,
        }
    }

    /// Makes a buffer clear, for the core to see.
    ///
    /// # Safety
    ///
    /// The caller owns the core, which runs nothing of that parity; `worker` is below
    /// [`CORE_LIMIT`].
    pub(crate) unsafe fn clear<P: Platform>(&self, platform: &P, worker: u16, buffer: usize) {
        let head = self.buffer(worker.into(), buffer).cast::<[u32; 2]>();
        // SAFETY: the head of a buffer that is the caller's alone.
        unsafe { head.write_volatile([0, 0]) };
        platform.clean_cache(head.expose_provenance() as u64, HEAD_BYTES);
    }

    /// Makes all buffers clear.
    ///
    /// # Safety
    ///
    /// No core is up, and no other thread is in a run.
    pub(crate) unsafe fn clear_all<P: Platform>(&self, platform: &P) {
        // CAST: 108.
        for worker in 0..CORE_LIMIT as u16 {
            for buffer in [0, 1] {
                // SAFETY: by the contract nobody else uses it.
                unsafe { self.clear(platform, worker, buffer) };
            }
        }
    }

    /// What the kernel of dispatch `id` left; `None` if it defers nothing.
    ///
    /// # Safety
    ///
    /// The caller owns the core and has seen its FIN of `id`; `worker` is below [`CORE_LIMIT`].
    #[inline]
    pub(crate) unsafe fn left<P: Platform>(
        &self,
        platform: &P,
        worker: u16,
        id: DispatchId,
    ) -> Option<Left> {
        let head = self.buffer(worker.into(), id.buffer()).cast::<[u32; 2]>();
        platform.invalidate_cache(head.expose_provenance() as u64, HEAD_BYTES);
        // SAFETY: the head of a buffer that the core has left to the caller. One load of both.
        let [count, error_code] = unsafe { head.read_volatile() };
        let left = Left { count, error_code: error_code.cast_signed() };
        (left != Left { count: 0, error_code: 0 }).then_some(left)
    }

    /// Condition `index` that the kernel of dispatch `id` left.
    ///
    /// # Safety
    ///
    /// As for [`left`](Self::left); `index` is below the capacity.
    pub(crate) unsafe fn entry<P: Platform>(
        &self,
        platform: &P,
        worker: u16,
        id: DispatchId,
        index: u32,
    ) -> DeferredCompletionEntry {
        let ingress = self.buffer(worker.into(), id.buffer());
        let entries =
            ingress.wrapping_byte_add(core::mem::offset_of!(DeferredCompletionIngress, entries));
        let entry = entries.cast::<DeferredCompletionEntry>().wrapping_add(index as usize);
        platform.invalidate_cache(
            entry.expose_provenance() as u64,
            size_of::<DeferredCompletionEntry>(),
        );
        // SAFETY: within the buffer by the contract, aligned as the record lays it out, and left
        // to the caller by the core. Any bytes are a value.
        unsafe { entry.read_volatile() }
    }
}

// The head is what `left` reads and `clear` writes at once.
const _: () = assert!(core::mem::offset_of!(DeferredCompletionIngress, count) == 0);
const _: () = assert!(core::mem::offset_of!(DeferredCompletionIngress, error_code) == 4);

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use super::*;
    use crate::testing::{TestPlatform, zeroed};

    #[test]
    fn every_core_and_parity_has_a_buffer_of_its_own() {
        let ingresses: Box<Ingresses> = zeroed();
        let mut starts: Vec<u64> = Vec::new();
        for (worker, buffer) in (0..CORE_LIMIT).flat_map(|worker| [(worker, 0), (worker, 1)]) {
            let context = ingresses.context(worker, buffer);
            let start = context.completion_count.raw();
            assert!(start.is_multiple_of(64));
            assert_eq!(context.completion_error_code.raw(), start + 4);
            assert_eq!(context.completion_entries.raw(), start + 8);
            assert_eq!((context.completion_capacity, context.task_token), (64, TaskId::INVALID));
            starts.push(start);
        }
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 1600), "{starts:x?}");
    }

    #[test]
    fn what_a_kernel_leaves_in_one_buffer_is_found_there_until_it_is_cleared() {
        let platform = TestPlatform::without_cores();
        let ingresses: Box<Ingresses> = zeroed();
        let id = DispatchId::FIRST;
        // SAFETY: (all) this test is alone with the buffers.
        unsafe {
            let mine = ingresses.buffer(5, id.buffer());
            (*mine).entries[63].expected_value = 77;
            let head = mine.cast::<[u32; 2]>();
            for (count, error_code) in [(3, 0), (0, -7), (u32::MAX, i32::MIN)] {
                head.write([count, error_code.cast_unsigned()]);
                let left = ingresses.left(&platform, 5, id);
                assert_eq!(left, Some(Left { count, error_code }));
                assert_eq!(ingresses.left(&platform, 5, id.next()), None);
                assert_eq!(ingresses.left(&platform, 4, id), None);
            }
            ingresses.clear(&platform, 5, id.buffer() ^ 1);
            assert_ne!(ingresses.left(&platform, 5, id), None);
            ingresses.clear(&platform, 5, id.buffer());
            assert_eq!(ingresses.left(&platform, 5, id), None);
            // Entries outlive their count; nobody looks at them.
            assert_eq!(ingresses.entry(&platform, 5, id, 63).expected_value, 77);
            head.write([1, 0]);
            ingresses.clear_all(&platform);
            assert_eq!(ingresses.left(&platform, 5, id), None);
        }
    }
}
