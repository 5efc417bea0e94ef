//! What a core receives for one task, and where a kernel may defer its completion.
//!
//! Each core has a pair of [`DispatchPayload`]s; the parity of the dispatch id selects one. The
//! AICPU fills it before it writes the id to the dispatch register and leaves it alone until the
//! core has ended that id (spec trb §3.1, §6).

use crate::addr::DeviceAddr;
use crate::ids::TaskId;
use crate::layout::layout;
use crate::limits::{DISPATCH_ARGS, MAX_DEFERRED_CONDITIONS};
use crate::wire_enum::wire_enum;
use core::sync::atomic::{AtomicI32, AtomicU32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where a kernel reports that its task ends later than the kernel does (spec trb §8.3).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct AsyncCtx {
    /// Address of [`DeferredCompletionIngress::count`].
    pub completion_count: DeviceAddr,
    /// Address of [`DeferredCompletionIngress::error_code`].
    pub completion_error_code: DeviceAddr,
    /// Address of [`DeferredCompletionIngress::entries`].
    pub completion_entries: DeviceAddr,
    /// Entries that fit.
    pub completion_capacity: u32,
    /// Written as zero.
    pub reserved: u32,
    /// The task; an invalid id forbids deferral.
    pub task_token: TaskId,
}

layout! {
    ASYNC_CTX: AsyncCtx = "AsyncCtx" on both, size 40, align 8 {
        completion_count @ 0, completion_error_code @ 8, completion_entries @ 16,
        completion_capacity @ 24, task_token @ 32,
    } reserved { reserved @ 28 }
}

/// Which block of its task a kernel computes (spec trb §3.1). a5 prefixes the names with `s_`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct LocalContext {
    /// Index of the block, from 0.
    pub block_idx: i32,
    /// Blocks of the task.
    pub block_num: i32,
    /// For deferred completion.
    pub async_ctx: AsyncCtx,
}

layout! {
    LOCAL_CONTEXT_A2A3: LocalContext = "LocalContext" on a2a3, size 48, align 8 {
        block_idx @ 0, block_num @ 4, async_ctx @ 8,
    }
}
layout! {
    LOCAL_CONTEXT_A5: LocalContext = "LocalContext" on a5, size 48, align 8 {
        block_idx as "s_block_idx" @ 0, block_num as "s_block_num" @ 4, async_ctx @ 8,
    }
}

/// Which core of its cluster a kernel runs on (spec trb §3.1).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct GlobalContext {
    /// Number of the vector core within its cluster, 0 or 1; 0 on a cube core.
    pub sub_block_id: i32,
}

layout! {
    GLOBAL_CONTEXT: GlobalContext = "GlobalContext" on both, size 4, align 4 { sub_block_id @ 0 }
}

/// What a core receives for one task (spec trb §3.1, §6.4).
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DispatchPayload {
    /// Entry of the kernel; a core skips the call where it is 0.
    pub function_bin_addr: u64,
    /// What the kernel receives: tensor addresses, scalars, and at 48 and 49 the two contexts.
    pub args: [u64; DISPATCH_ARGS],
    /// Target of `args[48]`.
    pub local_context: LocalContext,
    /// Target of `args[49]`.
    pub global_context: GlobalContext,
    /// Written as zero.
    pub reserved0: [u8; 8],
    /// Written as zero.
    pub reserved1: [u8; 44],
}

layout! {
    DISPATCH_PAYLOAD: DispatchPayload = "PTO2DispatchPayload" on both, size 512, align 64 {
        function_bin_addr @ 0, args @ 8, local_context @ 408, global_context @ 456,
        reserved0 as "reserved_payload_abi_pad" @ 460,
    } reserved { reserved1 @ 468 }
}

wire_enum! {
    /// What signals that a deferred task is complete (spec trb §1.5).
    pub enum AsyncEngine: u32 {
        /// The SDMA engine.
        Sdma = 0 => "SDMA",
        /// Remote memory access over Ethernet.
        Roce = 1 => "ROCE",
        /// Remote memory access over the unified bus.
        Urma = 2 => "URMA",
        /// The collective communication unit.
        Ccu = 3 => "CCU",
    }
}

wire_enum! {
    /// How to test whether a deferred task is complete (spec trb §8.3).
    pub enum CompletionType: i32 {
        /// A 32-bit counter reaches a value.
        Counter = 0 => "COUNTER",
        /// An [`SdmaEventRecord`] is flagged; a2a3 only.
        SdmaEventRecord = 1 => "SDMA_EVENT_RECORD",
    }
}

/// One condition under which a deferred task is complete (spec trb §8.3). Written by the kernel.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct DeferredCompletionEntry {
    /// Address of the counter or event record.
    pub addr: DeviceAddr,
    /// Value at which the condition holds.
    pub expected_value: u32,
    /// An [`AsyncEngine`] number.
    pub engine: u32,
    /// A [`CompletionType`] number.
    pub completion_type: i32,
    /// Written as zero.
    pub reserved: u32,
}

layout! {
    DEFERRED_COMPLETION_ENTRY: DeferredCompletionEntry = "PTO2DeferredCompletionEntry" on both,
    size 24, align 8 {
        addr @ 0, expected_value @ 8, engine @ 12, completion_type @ 16, reserved as "_pad" @ 20,
    }
}

/// Where a kernel lists the conditions of its deferred completion (spec trb §3.1).
///
/// Count and error code are zero at dispatch; written by the kernel, read by the AICPU once the core
/// has ended the task.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct DeferredCompletionIngress {
    /// Conditions listed, at most 64.
    pub count: AtomicU32,
    /// A status number where registration failed on the core, else 0.
    pub error_code: AtomicI32,
    /// The first `count` are conditions.
    pub entries: [DeferredCompletionEntry; MAX_DEFERRED_CONDITIONS],
    /// Written as zero.
    pub reserved: [u8; 56],
}

layout! {
    DEFERRED_COMPLETION_INGRESS: DeferredCompletionIngress =
    "PTO2DeferredCompletionIngressBuffer" on both, size 1600, align 64 {
        count @ 0, error_code @ 4, entries @ 8,
    } reserved { reserved @ 1544 }
}

/// An event that the SDMA engine raises (a2a3 only, spec trb §8.3).
///
/// Written by the engine while the AICPU polls `flag`.
#[repr(C)]
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
pub struct SdmaEventRecord {
    /// Set by the engine.
    pub flag: AtomicU32,
    /// Tail of the submission queue.
    pub sq_tail: u32,
    /// Opaque.
    pub channel_info: u64,
}

layout! {
    SDMA_EVENT_RECORD: SdmaEventRecord = "PTO2SdmaEventRecord" on a2a3, size 16, align 8 {
        flag @ 0, sq_tail @ 4, channel_info @ 8,
    }
}
