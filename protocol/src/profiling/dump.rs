//! Copies of tensors before and after each task.
//!
//! Each AICPU thread has an arena for the bytes and buffers of records that describe them; both
//! are collected by the host while the run goes on.

use super::queue::{FreeQueue, ReadyBuffer};
use crate::addr::DeviceAddr;
use crate::chip::{A2a3, A5, Chip};
use crate::layout::layout;
use crate::limits::MAX_TENSOR_DIMS;
use crate::wire_enum::wire_enum;
use core::sync::atomic::{AtomicU32, AtomicU64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Records per buffer.
pub const DUMP_BUFFER_RECORDS: usize = 256;
/// Full buffers that one thread's queue holds on a2a3.
pub const DUMP_READY_SLOTS_A2A3: usize = 64;
/// Full buffers that one thread's queue holds on a5.
pub const DUMP_READY_SLOTS_A5: usize = 112;

wire_enum! {
    /// How the task uses the dumped tensor.
    pub enum DumpRole: u8 = "TensorDumpRole", DUMP_ROLE {
        /// Read only.
        Input = 0 => "INPUT",
        /// Written only.
        Output = 1 => "OUTPUT",
        /// Read and written.
        InOut = 2 => "INOUT",
    }
}

wire_enum! {
    /// When the tensor was dumped.
    pub enum DumpStage: u8 = "TensorDumpStage", DUMP_STAGE {
        /// Before the task was given to a core.
        BeforeDispatch = 0 => "BEFORE_DISPATCH",
        /// After its end was seen.
        AfterCompletion = 1 => "AFTER_COMPLETION",
    }
}

/// One tensor of one task, at one moment.
#[repr(C, align(64))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct DumpRecord {
    /// The task.
    pub task_id: u64,
    /// A `Lane` number.
    pub subtask_id: u8,
    /// A [`DumpRole`] number.
    pub role: u8,
    /// A [`DumpStage`] number.
    pub stage: u8,
    /// Dimensions, at most 5.
    pub ndims: u8,
    /// Kernel.
    pub func_id: u32,
    /// Position among the task's arguments.
    pub arg_index: u32,
    /// A `DataType` number.
    pub dtype: u8,
    /// 1: not all bytes were copied.
    pub truncated: u8,
    /// 1: the view covers its bytes without gaps.
    pub is_contiguous: u8,
    /// Written as zero.
    pub reserved0: u8,
    /// Where its bytes start in the thread's arena.
    pub payload_offset: u64,
    /// Bytes in the arena.
    pub payload_size: u64,
    /// Written as zero.
    pub reserved1: [u8; 24],
    /// Elements per dimension of the view.
    pub shapes: [u32; MAX_TENSOR_DIMS],
    /// Offset of the view per dimension, in elements.
    pub offsets: [u32; MAX_TENSOR_DIMS],
    /// Elements per dimension of the buffer.
    pub raw_shapes: [u32; MAX_TENSOR_DIMS],
    /// Written as zero.
    pub reserved2: [u8; 4],
}

layout! {
    DUMP_RECORD: DumpRecord = "TensorDumpRecord" on both, size 128, align 64 {
        task_id @ 0, subtask_id @ 8, role @ 9, stage @ 10, ndims @ 11, func_id @ 12,
        arg_index @ 16, dtype @ 20, truncated @ 21, is_contiguous @ 22,
        reserved0 as "pad0_align" @ 23, payload_offset @ 24, payload_size @ 32,
        reserved1 as "pad0" @ 40, shapes @ 64, offsets @ 84, raw_shapes @ 104,
        reserved2 as "pad1" @ 124,
    }
}

/// Records of one thread.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DumpBuffer {
    /// The first `count` are valid.
    pub records: [DumpRecord; DUMP_BUFFER_RECORDS],
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
}

layout! {
    DUMP_BUFFER: DumpBuffer = "DumpMetaBuffer" on both, size 32832, align 64 {
        records @ 0, count @ 32768,
    } reserved { reserved @ 32772 }
}

/// Where one thread's records and bytes go. Written by the AICPU while the host looks.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct DumpState {
    /// Empty buffers.
    pub free_queue: FreeQueue,
    /// Buffer being filled, or 0.
    pub current_buf_ptr: AtomicU64,
    /// Counts buffers.
    pub current_buf_seq: AtomicU32,
    /// Written as zero.
    pub reserved0: u32,
    /// First byte of the arena. Written by the host before the run.
    pub arena_base: DeviceAddr,
    /// Bytes of the arena. Written by the host before the run.
    pub arena_size: u64,
    /// Where the next bytes go.
    pub arena_write_offset: AtomicU64,
    /// Records lost for want of a buffer.
    pub dropped_record_count: AtomicU32,
    /// Written as zero.
    pub reserved1: [u8; 28],
    /// Written as zero.
    pub reserved2: [u8; 56],
}

// a5 names all of the tail padding, a2a3 a part of it.
layout! {
    DUMP_STATE_A2A3: DumpState = "DumpBufferState" on a2a3, size 256, align 64 {
        free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, reserved0 as "pad0" @ 140,
        arena_base @ 144, arena_size @ 152, arena_write_offset @ 160, dropped_record_count @ 168,
        reserved1 as "pad1" @ 172,
    } reserved { reserved2 @ 200 }
}
layout! {
    DUMP_STATE_A5: DumpState = "DumpBufferState" on a5, size 256, align 64 {
        free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, reserved0 as "pad0" @ 140,
        arena_base @ 144, arena_size @ 152, arena_write_offset @ 160, dropped_record_count @ 168,
        reserved1..=reserved2 as "pad1" @ 172,
    } reserved { reserved2 @ 200 }
}

/// Full buffers of all threads, on a2a3; the threads' states follow.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct DumpHeaderA2a3 {
    /// One queue per AICPU thread.
    pub queues: [[ReadyBuffer; DUMP_READY_SLOTS_A2A3]; A2a3::MAX_AICPU_THREADS],
    /// Host: buffers collected so far, per thread.
    pub queue_heads: [AtomicU32; A2a3::MAX_AICPU_THREADS],
    /// AICPU: buffers announced so far, per thread.
    pub queue_tails: [AtomicU32; A2a3::MAX_AICPU_THREADS],
    /// States that follow.
    pub num_dump_threads: u32,
    /// Records that fit one buffer.
    pub records_per_buffer: u32,
    /// Bytes of each thread's arena.
    pub arena_size_per_thread: u64,
    /// Marks a header that was written.
    pub magic: u32,
    /// Written as zero.
    pub reserved0: u32,
    /// Written as zero.
    pub reserved1: [u32; 2],
}

layout! {
    DUMP_HEADER_A2A3: DumpHeaderA2a3 = "DumpDataHeader" on a2a3, size 8256, align 64 {
        queues @ 0, queue_heads @ 8192, queue_tails @ 8208, num_dump_threads @ 8224,
        records_per_buffer @ 8228, arena_size_per_thread @ 8232, magic @ 8240,
        reserved0 as "pad" @ 8244,
    } reserved { reserved1 @ 8248 }
}

/// Full buffers of all threads, on a5; the threads' states follow.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct DumpHeaderA5 {
    /// One queue per AICPU thread.
    pub queues: [[ReadyBuffer; DUMP_READY_SLOTS_A5]; A5::MAX_AICPU_THREADS],
    /// Host: buffers collected so far, per thread.
    pub queue_heads: [AtomicU32; A5::MAX_AICPU_THREADS],
    /// AICPU: buffers announced so far, per thread.
    pub queue_tails: [AtomicU32; A5::MAX_AICPU_THREADS],
    /// States that follow.
    pub num_dump_threads: u32,
    /// Records that fit one buffer.
    pub records_per_buffer: u32,
    /// Bytes of each thread's arena.
    pub arena_size_per_thread: u64,
    /// Marks a header that was written.
    pub magic: u32,
    /// Written as zero.
    pub reserved0: u32,
    /// Written as zero.
    pub reserved1: [u32; 12],
}

layout! {
    DUMP_HEADER_A5: DumpHeaderA5 = "DumpDataHeader" on a5, size 25216, align 64 {
        queues @ 0, queue_heads @ 25088, queue_tails @ 25116, num_dump_threads @ 25144,
        records_per_buffer @ 25148, arena_size_per_thread @ 25152, magic @ 25160,
        reserved0 as "pad" @ 25164,
    } reserved { reserved1 @ 25168 }
}
