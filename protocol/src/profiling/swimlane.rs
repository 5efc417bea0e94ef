//! When each task ran on which core, and whom it released.
//!
//! A core notes start and end; the AICPU adds dispatch and finish times and the list of consumers.
//! Times are counter ticks (`Chip::COUNTER_HZ`).

use super::queue::{FreeQueue, ReadyBuffer};
use crate::chip::{A2a3, A5, Chip};
use crate::layout::layout;
use core::sync::atomic::{AtomicU32, AtomicU64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Consumers that one record can list.
pub const SWIMLANE_FANOUT_MAX: usize = 128;
/// Records per buffer.
pub const SWIMLANE_BUFFER_RECORDS: usize = 1000;
/// Full buffers that one thread's queue holds on a2a3.
pub const SWIMLANE_READY_SLOTS_A2A3: usize = 640;
/// Full buffers that one thread's queue holds on a5.
pub const SWIMLANE_READY_SLOTS_A5: usize = 976;

/// One task on one core.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SwimlaneRecord {
    /// Core: when the kernel started.
    pub start_time: u64,
    /// Core: when the kernel ended.
    pub end_time: u64,
    /// `end_time - start_time`.
    pub duration: u64,
    /// AICPU: when the task was given to the core.
    pub dispatch_time: u64,
    /// AICPU: when the end was seen.
    pub finish_time: u64,
    /// The task; during the run, its dispatch id.
    pub task_id: u64,
    /// Kernel.
    pub func_id: u32,
    /// A `CoreType` number.
    pub core_type: i32,
    /// Consumers; the first `fanout_count` count.
    pub fanout: [u64; SWIMLANE_FANOUT_MAX],
    /// Consumers listed, at most 128.
    pub fanout_count: i32,
    /// Written as zero.
    pub reserved: u32,
}

layout! {
    SWIMLANE_RECORD: SwimlaneRecord = "L2PerfRecord" on both, size 1088, align 64 {
        start_time @ 0, end_time @ 8, duration @ 16, dispatch_time @ 24, finish_time @ 32,
        task_id @ 40, func_id @ 48, core_type @ 52, fanout @ 56, fanout_count @ 1080,
    } reserved { reserved @ 1084 }
}

/// Records of one core on a2a3.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SwimlaneBufferA2a3 {
    /// The first `count` are valid.
    pub records: [SwimlaneRecord; SWIMLANE_BUFFER_RECORDS],
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
}

layout! {
    SWIMLANE_BUFFER_A2A3: SwimlaneBufferA2a3 = "L2PerfBuffer" on a2a3, size 1088064, align 64 {
        records @ 0, count @ 1088000,
    } reserved { reserved @ 1088004 }
}

/// Records of one core on a5, where the core writes to two slots in front.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SwimlaneBufferA5 {
    /// Written by the core for the task of each dispatch id parity.
    pub wip: [SwimlaneRecord; 2],
    /// The first `count` are valid.
    pub records: [SwimlaneRecord; SWIMLANE_BUFFER_RECORDS],
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
}

layout! {
    SWIMLANE_BUFFER_A5: SwimlaneBufferA5 = "L2PerfBuffer" on a5, size 1090240, align 64 {
        wip @ 0, records @ 2176, count @ 1090176,
    } reserved { reserved @ 1090180 }
}

/// Where one core's records go, on a2a3. Written by the AICPU while the host looks.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct SwimlaneStateA2a3 {
    /// Empty buffers.
    pub free_queue: FreeQueue,
    /// Buffer being filled, or 0.
    pub current_buf_ptr: AtomicU64,
    /// Ring that the core writes to.
    pub aicore_ring_ptr: AtomicU64,
    /// Counts buffers.
    pub current_buf_seq: AtomicU32,
    /// Records written.
    pub total_record_count: AtomicU32,
    /// Records lost for want of a buffer.
    pub dropped_record_count: AtomicU32,
    /// Records whose two halves, of core and AICPU, did not belong together.
    pub mismatch_record_count: AtomicU32,
    /// Written as zero.
    pub reserved: [u32; 8],
}

layout! {
    SWIMLANE_STATE_A2A3: SwimlaneStateA2a3 = "L2PerfBufferState" on a2a3, size 192, align 64 {
        free_queue @ 0, current_buf_ptr @ 128, aicore_ring_ptr @ 136, current_buf_seq @ 144,
        total_record_count @ 148, dropped_record_count @ 152, mismatch_record_count @ 156,
        reserved as "pad" @ 160,
    }
}

/// Where one core's records go, on a5. Written by the AICPU while the host looks.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct SwimlaneStateA5 {
    /// Empty buffers.
    pub free_queue: FreeQueue,
    /// Buffer being filled, or 0.
    pub current_buf_ptr: AtomicU64,
    /// Counts buffers.
    pub current_buf_seq: AtomicU32,
    /// Written as zero.
    pub reserved: [u32; 13],
}

layout! {
    SWIMLANE_STATE_A5: SwimlaneStateA5 = "L2PerfBufferState" on a5, size 192, align 64 {
        free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, reserved as "pad" @ 140,
    }
}

/// Full buffers of all threads, on a2a3; the cores' states follow.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct SwimlaneHeaderA2a3 {
    /// One queue per AICPU thread.
    pub queues: [[ReadyBuffer; SWIMLANE_READY_SLOTS_A2A3]; A2a3::MAX_AICPU_THREADS],
    /// Host: buffers collected so far, per thread.
    pub queue_heads: [AtomicU32; A2a3::MAX_AICPU_THREADS],
    /// AICPU: buffers announced so far, per thread.
    pub queue_tails: [AtomicU32; A2a3::MAX_AICPU_THREADS],
    /// States that follow.
    pub num_cores: u32,
    /// Written as zero.
    pub reserved: [u32; 7],
}

layout! {
    SWIMLANE_HEADER_A2A3: SwimlaneHeaderA2a3 = "L2PerfDataHeader" on a2a3, size 81984, align 64 {
        queues @ 0, queue_heads @ 81920, queue_tails @ 81936, num_cores @ 81952,
    } reserved { reserved @ 81956 }
}

/// Full buffers of all threads, on a5; the cores' states follow.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct SwimlaneHeaderA5 {
    /// One queue per AICPU thread.
    pub queues: [[ReadyBuffer; SWIMLANE_READY_SLOTS_A5]; A5::MAX_AICPU_THREADS],
    /// Host: buffers collected so far, per thread.
    pub queue_heads: [AtomicU32; A5::MAX_AICPU_THREADS],
    /// AICPU: buffers announced so far, per thread.
    pub queue_tails: [AtomicU32; A5::MAX_AICPU_THREADS],
    /// States that follow.
    pub num_cores: u32,
    /// AICPU: tasks of the run, once known.
    pub total_tasks: AtomicU32,
}

layout! {
    SWIMLANE_HEADER_A5: SwimlaneHeaderA5 = "L2PerfDataHeader" on a5, size 218688, align 64 {
        queues @ 0, queue_heads @ 218624, queue_tails @ 218652, num_cores @ 218680,
        total_tasks @ 218684,
    }
}
