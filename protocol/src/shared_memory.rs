//! The header of the region that orchestrator and schedulers of one run share.
//!
//! The host allocates the region and, after the run, reads the status fields of the header; all
//! else in the region is the executor's own business (spec trb §3.2). Fields that one thread
//! writes while others look are atomics. `RingFlowControl` gives each of its two writers a cache
//! line of its own.
//!
//! | field                | written by               | read by                   |
//! |----------------------|--------------------------|---------------------------|
//! | `current_task_index` | orchestrator             | schedulers                |
//! | `last_task_alive`    | schedulers               | orchestrator              |
//! | `orchestrator_done`  | orchestrator             | schedulers                |
//! | `orch_error_code`    | orchestrator             | schedulers; host, at end  |
//! | `sched_error_*`      | first failing scheduler  | all; host, at end         |
//! | `callable_ids`       | first thread             | host, at end              |
//! | everything else      | before the run           | all                       |
//!
//! **How many callable ids an executor has.** The reference has 64, and no word to say so (spec
//! callable §1.1). An executor of ours that finds a valid extension in the run record answers in
//! `callable_ids`, which lies in what the reference has as padding behind its last field. It is in
//! the header and not in the run record because the record is the host's to write, and many copies of
//! it are never read back, while every host reads the header for the status. The word has a mark
//! in its upper half: a reference executor leaves whatever the host has put there, and a host that
//! finds no mark, or a number that makes no sense, uses 64 ([`SharedMemoryHeader::callable_ids`]). So does
//! a host before the first run. A host in the same process asks the executor instead.

use crate::addr::DeviceAddr;
use crate::layout::layout;
use crate::limits::{EXTENDED_CALLABLE_IDS, MAX_REGISTERED_CALLABLE_IDS, RING_COUNT};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

/// Bytes of one task's descriptor, payload and slot state in the reference (spec trb §3.3).
const TASK_RECORD_BYTES: [u64; 3] = [40, 2880, 64];

/// The two counters of one task ring.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct RingFlowControl {
    /// Tasks submitted so far: the number of the next one.
    pub current_task_index: AtomicI32,
    /// Written as zero.
    pub reserved0: [u32; 15],
    /// First task that is not yet consumed; slots of earlier ones are free.
    pub last_task_alive: AtomicI32,
    /// Written as zero.
    pub reserved1: [u32; 15],
}

layout! {
    RING_FLOW_CONTROL: RingFlowControl = "PTO2RingFlowControl" on both, size 128, align 64 {
        current_task_index @ 0, last_task_alive @ 64,
    } reserved { reserved0 @ 4, reserved1 @ 68 }
}

/// One task ring and its heap ring.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct SharedMemoryRingHeader {
    /// Counters.
    pub fc: RingFlowControl,
    /// Task slots, a power of two.
    pub task_window_size: u64,
    /// Task slots − 1.
    pub task_window_mask: i32,
    /// Written as zero.
    pub reserved0: u32,
    /// Heap bytes.
    pub heap_size: u64,
    /// Bytes from the start of the region to the descriptors.
    pub task_descriptors_offset: u64,
    /// The descriptors.
    pub task_descriptors: DeviceAddr,
    /// The payloads.
    pub task_payloads: DeviceAddr,
    /// The slot states.
    pub slot_states: DeviceAddr,
    /// Written as zero.
    pub reserved1: u64,
}

layout! {
    SHARED_MEMORY_RING_HEADER: SharedMemoryRingHeader = "PTO2SharedMemoryRingHeader" on both,
    size 192, align 64 {
        fc @ 0, task_window_size @ 128, task_window_mask @ 136, heap_size @ 144,
        task_descriptors_offset @ 152, task_descriptors @ 160, task_payloads @ 168,
        slot_states @ 176,
    } reserved { reserved0 @ 140, reserved1 @ 184 }
}

/// The start of the region.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct SharedMemoryHeader {
    /// One per ring.
    pub rings: [SharedMemoryRingHeader; RING_COUNT],
    /// 1 once no task will follow.
    pub orchestrator_done: AtomicI32,
    /// Written as zero.
    pub reserved0: u32,
    /// Bytes of the region.
    pub total_size: u64,
    /// Packed outputs of the graph; always null here.
    pub graph_output_ptr: AtomicU64,
    /// Bytes of the packed outputs; always 0 here.
    pub graph_output_size: AtomicU64,
    /// Status number of the orchestrator's first failure, 0 while there is none.
    pub orch_error_code: AtomicI32,
    /// Unused.
    pub sched_error_bitmap: AtomicI32,
    /// Status number of the first failing scheduler, 0 while there is none.
    pub sched_error_code: AtomicI32,
    /// Thread that stored it.
    pub sched_error_thread: AtomicI32,
    /// Ids that the executor has, as [`callable_ids_word`]; zero from one that does not say.
    pub callable_ids: AtomicU64,
    /// Written as zero.
    pub reserved1: u64,
}

layout! {
    SHARED_MEMORY_HEADER: SharedMemoryHeader = "PTO2SharedMemoryHeader" on both,
    size 832, align 64 {
        rings @ 0, orchestrator_done @ 768, total_size @ 776, graph_output_ptr @ 784,
        graph_output_size @ 792, orch_error_code @ 800, sched_error_bitmap @ 804,
        sched_error_code @ 808, sched_error_thread @ 812,
    } reserved { reserved0 @ 772, callable_ids @ 816, reserved1 @ 824 }
}

/// "SRXI" in memory order, in the upper half of [`SharedMemoryHeader::callable_ids`].
const CALLABLE_IDS_MARK: u64 = (u32::from_le_bytes(*b"SRXI") as u64) << 32;

/// Returns the word that says that an executor has `count` callable ids.
pub const fn callable_ids_word(count: u32) -> u64 {
    // CAST: widens.
    CALLABLE_IDS_MARK | count as u64
}

impl SharedMemoryHeader {
    /// Returns how many callable ids the executor of the last run has, at least 64 and at most
    /// [`EXTENDED_CALLABLE_IDS`]; 64 if it has not said so.
    ///
    /// For a host that has zeroed the region before its first run, after a run.
    pub fn callable_ids(&self) -> usize {
        // ORDERING: Relaxed: the run has ended.
        let word = self.callable_ids.load(Ordering::Relaxed);
        let said = usize::try_from(word ^ CALLABLE_IDS_MARK).unwrap_or(usize::MAX);
        if (MAX_REGISTERED_CALLABLE_IDS..=EXTENDED_CALLABLE_IDS).contains(&said) {
            said
        } else {
            MAX_REGISTERED_CALLABLE_IDS
        }
    }
}

/// Returns the bytes that a reference host allocates for the region, with `window` slots per ring.
///
/// `None` where the sum does not fit 64 bits. An executor that needs no more than this works under
/// a reference host (spec trb §3.2).
pub const fn reference_region_bytes(window: u64) -> Option<u64> {
    let mut ring: u64 = 0;
    let mut index = 0;
    while index < TASK_RECORD_BYTES.len() {
        // Each block starts on a cache line.
        let Some(block) = window.checked_mul(TASK_RECORD_BYTES[index]) else { return None };
        let Some(block) = block.checked_next_multiple_of(64) else { return None };
        ring = match ring.checked_add(block) {
            Some(sum) => sum,
            None => return None,
        };
        index += 1;
    }
    // CAST: both are small constants.
    match ring.checked_mul(RING_COUNT as u64) {
        Some(rings) => rings.checked_add(size_of::<SharedMemoryHeader>() as u64),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_region_has_the_documented_default_size() {
        assert_eq!(reference_region_bytes(16384), Some(195_560_256));
    }

    #[test]
    fn callable_ids_are_64_unless_an_executor_of_ours_says_otherwise() {
        let of = |word| SharedMemoryHeader { callable_ids: word, ..Default::default() };
        for count in [64, 65, 1024] {
            let header = of(callable_ids_word(count).into());
            assert_eq!(header.callable_ids(), count as usize);
        }
        let marked = callable_ids_word(0);
        let foreign =
            [0, 1024, u64::MAX, 0xA5A5_A5A5_A5A5_A5A5, marked, marked | 63, marked | 1025];
        for word in foreign {
            assert_eq!(of(word.into()).callable_ids(), 64, "{word:#x}");
        }
    }

    #[test]
    fn blocks_of_a_ring_are_rounded_up_to_cache_lines() {
        // One slot: 40 bytes round up to 64; 2880 and 64 are multiples already.
        assert_eq!(reference_region_bytes(1), Some(832 + 4 * (64 + 2880 + 64)));
        assert_eq!(reference_region_bytes(0), Some(832));
    }

    #[test]
    fn size_that_does_not_fit_is_refused() {
        assert_eq!(reference_region_bytes(u64::MAX), None);
        assert_eq!(reference_region_bytes(u64::MAX / 2880), None);
        assert_eq!(reference_region_bytes(u64::MAX / 4 / 2984 + 1), None);
    }
}
