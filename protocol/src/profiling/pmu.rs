//! Hardware counters per task.
//!
//! The AICPU reads a core's counters when a task ends (on a5 the core writes them to a slot in the
//! buffer) and appends a record; the host collects full buffers.

use super::queue::{FreeQueue, ReadyBuffer};
use crate::chip::{A2a3, A5, Chip};
use crate::layout::layout;
use crate::wire_enum::wire_enum;
use core::sync::atomic::{AtomicU32, AtomicU64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Records per buffer.
pub const PMU_BUFFER_RECORDS: usize = 512;
/// Counters per core on a2a3.
pub const PMU_COUNTERS_A2A3: usize = 8;
/// Counters per core on a5.
pub const PMU_COUNTERS_A5: usize = 10;
/// Full buffers that one thread's queue holds on a2a3: four per core.
pub const PMU_READY_SLOTS_A2A3: usize = 4 * A2a3::MAX_CORES;
/// Full buffers that one thread's queue holds on a5: four per core.
pub const PMU_READY_SLOTS_A5: usize = 4 * A5::MAX_CORES;

wire_enum! {
    /// Which group of events the counters count; the run's configuration selects it.
    pub enum PmuEvent: u32 = "PmuEventType", PMU_EVENT {
        /// Use of the arithmetic units.
        ArithmeticUtilization = 1 => "ARITHMETIC_UTILIZATION",
        /// Use of the pipelines.
        PipeUtilization = 2 => "PIPE_UTILIZATION",
        /// Traffic to memory.
        Memory = 4 => "MEMORY",
        /// Traffic to the L0 buffers.
        MemoryL0 = 5 => "MEMORY_L0",
        /// Conflicts over resources.
        ResourceConflict = 6 => "RESOURCE_CONFLICT",
        /// Traffic to the unified buffer.
        MemoryUb = 7 => "MEMORY_UB",
        /// Hits and misses of the L2 cache.
        L2Cache = 8 => "L2_CACHE",
    }
}

/// Counters of one task on one core, on a2a3.
#[repr(C, align(64))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct PmuRecordA2a3 {
    /// The task.
    pub task_id: u64,
    /// Kernel.
    pub func_id: u32,
    /// A `CoreType` number.
    pub core_type: i32,
    /// Cycles from start to end.
    pub pmu_total_cycles: u64,
    /// One per counter.
    pub pmu_counters: [u32; PMU_COUNTERS_A2A3],
    /// Written as zero.
    pub reserved: u64,
}

layout! {
    PMU_RECORD_A2A3: PmuRecordA2a3 = "PmuRecord" on a2a3, size 64, align 64 {
        task_id @ 0, func_id @ 8, core_type @ 12, pmu_total_cycles @ 16, pmu_counters @ 24,
    } reserved { reserved @ 56 }
}

/// Counters of one task on one core, on a5.
#[repr(C, align(64))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct PmuRecordA5 {
    /// The task.
    pub task_id: u64,
    /// Kernel.
    pub func_id: u32,
    /// A `CoreType` number.
    pub core_type: i32,
    /// Cycles from start to end.
    pub pmu_total_cycles: u64,
    /// One per counter.
    pub pmu_counters: [u32; PMU_COUNTERS_A5],
}

layout! {
    PMU_RECORD_A5: PmuRecordA5 = "PmuRecord" on a5, size 64, align 64 {
        task_id @ 0, func_id @ 8, core_type @ 12, pmu_total_cycles @ 16, pmu_counters @ 24,
    }
}

/// Records of one core, on a2a3.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PmuBufferA2a3 {
    /// The first `count` are valid.
    pub records: [PmuRecordA2a3; PMU_BUFFER_RECORDS],
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
}

layout! {
    PMU_BUFFER_A2A3: PmuBufferA2a3 = "PmuBuffer" on a2a3, size 32832, align 64 {
        records @ 0, count @ 32768,
    } reserved { reserved @ 32772 }
}

/// Records of one core, on a5, where the core writes to two slots in front.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PmuBufferA5 {
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
    /// Written by the core for the task of each dispatch id parity.
    pub dual_issue_slots: [PmuRecordA5; 2],
    /// The first `count` are valid.
    pub records: [PmuRecordA5; PMU_BUFFER_RECORDS],
}

layout! {
    PMU_BUFFER_A5: PmuBufferA5 = "PmuBuffer" on a5, size 32960, align 64 {
        count @ 0, reserved as "pad" @ 4, dual_issue_slots @ 64, records @ 192,
    }
}

/// Where one core's records go. Written by the AICPU while the host looks.
#[repr(C, align(64))]
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
pub struct PmuState {
    /// Empty buffers.
    pub free_queue: FreeQueue,
    /// Buffer being filled, or 0.
    pub current_buf_ptr: AtomicU64,
    /// Counts buffers.
    pub current_buf_seq: AtomicU32,
    /// Records lost for want of a buffer.
    pub dropped_record_count: AtomicU32,
    /// Records written.
    pub total_record_count: AtomicU32,
    /// Written as zero.
    pub reserved: [u32; 11],
}

layout! {
    PMU_STATE: PmuState = "PmuBufferState" on both, size 192, align 64 {
        free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, dropped_record_count @ 140,
        total_record_count @ 144, reserved as "pad" @ 148,
    }
}

/// Full buffers of all threads, on a2a3; the cores' states follow.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct PmuHeaderA2a3 {
    /// One queue per AICPU thread.
    pub queues: [[ReadyBuffer; PMU_READY_SLOTS_A2A3]; A2a3::MAX_AICPU_THREADS],
    /// Host: buffers collected so far, per thread.
    pub queue_heads: [AtomicU32; A2a3::MAX_AICPU_THREADS],
    /// AICPU: buffers announced so far, per thread.
    pub queue_tails: [AtomicU32; A2a3::MAX_AICPU_THREADS],
    /// States that follow.
    pub num_cores: u32,
    /// A [`PmuEvent`] number.
    pub event_type: u32,
    /// Written as zero.
    pub reserved0: [u32; 2],
    /// Written as zero.
    pub reserved1: [u32; 4],
}

layout! {
    PMU_HEADER_A2A3: PmuHeaderA2a3 = "PmuDataHeader" on a2a3, size 36928, align 64 {
        queues @ 0, queue_heads @ 36864, queue_tails @ 36880, num_cores @ 36896,
        event_type @ 36900, reserved0 as "pad" @ 36904,
    } reserved { reserved1 @ 36912 }
}

/// Full buffers of all threads, on a5; the cores' states follow.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct PmuHeaderA5 {
    /// One queue per AICPU thread.
    pub queues: [[ReadyBuffer; PMU_READY_SLOTS_A5]; A5::MAX_AICPU_THREADS],
    /// Host: buffers collected so far, per thread.
    pub queue_heads: [AtomicU32; A5::MAX_AICPU_THREADS],
    /// AICPU: buffers announced so far, per thread.
    pub queue_tails: [AtomicU32; A5::MAX_AICPU_THREADS],
    /// States that follow.
    pub num_cores: u32,
    /// A [`PmuEvent`] number.
    pub event_type: u32,
    /// Written as zero.
    pub reserved0: [u32; 2],
    /// Written as zero.
    pub reserved1: [u32; 14],
}

layout! {
    PMU_HEADER_A5: PmuHeaderA5 = "PmuDataHeader" on a5, size 96896, align 64 {
        queues @ 0, queue_heads @ 96768, queue_tails @ 96796, num_cores @ 96824,
        event_type @ 96828, reserved0 as "pad" @ 96832,
    } reserved { reserved1 @ 96840 }
}
