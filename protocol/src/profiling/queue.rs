//! The two queues by which diagnostic buffers travel between host and AICPU.
//!
//! The reference has one type per diagnostic; they differ in names only.
//!
//! | queue        | `tail` written by | `head` written by |
//! |--------------|-------------------|-------------------|
//! | free buffers | host              | AICPU             |
//! | full buffers | AICPU             | host              |

use crate::addr::DeviceAddr;
use crate::layout::layout;
use core::sync::atomic::AtomicU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Buffers that a free queue holds.
pub const FREE_QUEUE_SLOTS: usize = 4;

/// Empty buffers for one core or thread.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct FreeQueue {
    /// The buffers; counters select a slot modulo 4.
    pub buffer_ptrs: [DeviceAddr; FREE_QUEUE_SLOTS],
    /// Buffers taken so far.
    pub head: AtomicU32,
    /// Buffers offered so far.
    pub tail: AtomicU32,
    /// Written as zero.
    pub reserved0: [u32; 13],
    /// Written as zero.
    pub reserved1: [u32; 9],
}

// The reference names a different share of the padding in each of its types.
layout! {
    SWIMLANE_FREE_QUEUE_A2A3: FreeQueue = "L2PerfFreeQueue" on a2a3, size 128, align 64 {
        buffer_ptrs @ 0, head @ 32, tail @ 36, reserved0 as "pad" @ 40,
    } reserved { reserved1 @ 92 }
}
layout! {
    SWIMLANE_FREE_QUEUE_A5: FreeQueue = "L2PerfFreeQueue" on a5, size 128, align 64 {
        buffer_ptrs @ 0, head @ 32, tail @ 36, reserved0..=reserved1 as "pad" @ 40,
    } reserved { reserved1 @ 92 }
}
layout! {
    PMU_FREE_QUEUE: FreeQueue = "PmuFreeQueue" on both, size 128, align 64 {
        buffer_ptrs @ 0, head @ 32, tail @ 36, reserved0..=reserved1 as "pad" @ 40,
    } reserved { reserved1 @ 92 }
}
layout! {
    DUMP_FREE_QUEUE_A2A3: FreeQueue = "DumpFreeQueue" on a2a3, size 128, align 64 {
        buffer_ptrs @ 0, head @ 32, tail @ 36, reserved0 as "pad" @ 40,
    } reserved { reserved1 @ 92 }
}
layout! {
    DUMP_FREE_QUEUE_A5: FreeQueue = "DumpFreeQueue" on a5, size 128, align 64 {
        buffer_ptrs @ 0, head @ 32, tail @ 36, reserved0..=reserved1 as "pad" @ 40,
    } reserved { reserved1 @ 92 }
}

/// A full buffer that waits for the host.
#[repr(C, align(32))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct ReadyBuffer {
    /// Core whose records it holds; for tensor dumps, the AICPU thread.
    pub source_index: u32,
    /// 1: a buffer of phase records. Only in the swimlane's queue, else 0.
    pub is_phase: u32,
    /// The buffer.
    pub buffer_ptr: DeviceAddr,
    /// Counts the buffers of this source.
    pub buffer_seq: u32,
    /// Written as zero.
    pub reserved0: u32,
    /// Written as zero.
    pub reserved1: u64,
}

layout! {
    SWIMLANE_READY_BUFFER: ReadyBuffer = "ReadyQueueEntry" on both, size 32, align 32 {
        source_index as "core_index" @ 0, is_phase @ 4, buffer_ptr @ 8, buffer_seq @ 16,
        reserved0 as "pad" @ 20,
    } reserved { reserved1 @ 24 }
}
layout! {
    PMU_READY_BUFFER: ReadyBuffer = "PmuReadyQueueEntry" on both, size 32, align 32 {
        source_index as "core_index" @ 0, is_phase as "pad0" @ 4, buffer_ptr @ 8, buffer_seq @ 16,
        reserved0 as "pad1" @ 20,
    } reserved { reserved1 @ 24 }
}
layout! {
    DUMP_READY_BUFFER: ReadyBuffer = "DumpReadyQueueEntry" on both, size 32, align 32 {
        source_index as "thread_index" @ 0, is_phase as "pad0" @ 4, buffer_ptr @ 8,
        buffer_seq @ 16, reserved0 as "pad1" @ 20,
    } reserved { reserved1 @ 24 }
}
