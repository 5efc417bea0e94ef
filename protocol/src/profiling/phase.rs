//! What the AICPU threads spent their time on.
//!
//! Written by the thread itself, read by the host after the run or buffer by buffer. Times are
//! counter ticks (`Chip::COUNTER_HZ`).

use crate::chip::{A2a3, A5, Chip};
use crate::layout::layout;
use crate::wire_enum::wire_enum;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Records per buffer on a2a3.
pub const PHASE_BUFFER_RECORDS_A2A3: usize = 16384;
/// Records per buffer on a5.
pub const PHASE_BUFFER_RECORDS_A5: usize = 500_000;

wire_enum! {
    /// A phase of a scheduler's loop, or a step of a submission.
    pub enum PhaseId: u32 = "AicpuPhaseId", PHASE_ID {
        /// Scheduler: handling ended tasks.
        SchedComplete = 0 => "SCHED_COMPLETE",
        /// Scheduler: giving tasks to cores.
        SchedDispatch = 1 => "SCHED_DISPATCH",
        /// Scheduler: looking for ready tasks.
        SchedScan = 2 => "SCHED_SCAN",
        /// Scheduler: nothing to do.
        SchedIdleWait = 3 => "SCHED_IDLE_WAIT",
        /// Orchestrator: taking over what schedulers released.
        OrchSync = 16 => "ORCH_SYNC",
        /// Orchestrator: allocating a task slot.
        OrchAlloc = 17 => "ORCH_ALLOC",
        /// Orchestrator: copying arguments.
        OrchParams = 18 => "ORCH_PARAMS",
        /// Orchestrator: finding producers.
        OrchLookup = 19 => "ORCH_LOOKUP",
        /// Orchestrator: allocating outputs.
        OrchHeap = 20 => "ORCH_HEAP",
        /// Orchestrator: registering as producer.
        OrchInsert = 21 => "ORCH_INSERT",
        /// Orchestrator: recording dependencies.
        OrchFanin = 22 => "ORCH_FANIN",
        /// Orchestrator: publishing the task.
        OrchFinalize = 23 => "ORCH_FINALIZE",
        /// Orchestrator: closing a scope.
        OrchScopeEnd = 24 => "ORCH_SCOPE_END",
    }
}

/// One phase of one thread.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct PhaseRecord {
    /// When it started.
    pub start_time: u64,
    /// When it ended.
    pub end_time: u64,
    /// Loop iteration, or submission.
    pub loop_iter: u32,
    /// A [`PhaseId`] number.
    pub phase_id: u32,
    /// A union in the reference: what it counts or names depends on the phase.
    pub detail: u64,
}

layout! {
    PHASE_RECORD: PhaseRecord = "AicpuPhaseRecord" on both, size 32, align 8 {
        start_time @ 0, end_time @ 8, loop_iter @ 16, phase_id @ 20, detail as "<anon>" @ 24,
    }
}

/// Ticks that the orchestrator spent per step, over the whole run.
#[repr(C, align(64))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct OrchestratorSummary {
    /// When the orchestration started.
    pub start_time: u64,
    /// When it ended.
    pub end_time: u64,
    /// Taking over what schedulers released.
    pub sync_cycle: u64,
    /// Allocating task slots.
    pub alloc_cycle: u64,
    /// Copying arguments.
    pub args_cycle: u64,
    /// Finding producers.
    pub lookup_cycle: u64,
    /// Allocating outputs.
    pub heap_cycle: u64,
    /// Registering as producer.
    pub insert_cycle: u64,
    /// Recording dependencies.
    pub fanin_cycle: u64,
    /// Closing scopes.
    pub scope_end_cycle: u64,
    /// Tasks submitted.
    pub submit_count: i64,
    /// Marks a record that was written.
    pub magic: u32,
    /// Written as zero.
    pub reserved0: u32,
    /// Written as zero.
    pub reserved1: [u64; 4],
}

layout! {
    ORCHESTRATOR_SUMMARY: OrchestratorSummary = "AicpuOrchSummary" on both, size 128, align 64 {
        start_time @ 0, end_time @ 8, sync_cycle @ 16, alloc_cycle @ 24, args_cycle @ 32,
        lookup_cycle @ 40, heap_cycle @ 48, insert_cycle @ 56, fanin_cycle @ 64,
        scope_end_cycle @ 72, submit_count @ 80, magic @ 88, reserved0 as "padding" @ 92,
    } reserved { reserved1 @ 96 }
}

/// What the records of a run are about, on a2a3.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PhaseHeaderA2a3 {
    /// Marks a header that was written.
    pub magic: u32,
    /// Scheduler threads.
    pub num_sched_threads: u32,
    /// Records that fit one buffer.
    pub records_per_thread: u32,
    /// Cores in use.
    pub num_cores: u32,
    /// Scheduler thread of each core; −1 is none.
    pub core_to_thread: [i8; A2a3::MAX_CORES],
    /// Written as zero.
    pub reserved: [u8; 40],
    /// Written by the orchestrator at its end.
    pub orch_summary: OrchestratorSummary,
}

layout! {
    PHASE_HEADER_A2A3: PhaseHeaderA2a3 = "AicpuPhaseHeader" on a2a3, size 256, align 64 {
        magic @ 0, num_sched_threads @ 4, records_per_thread @ 8, num_cores @ 12,
        core_to_thread @ 16, orch_summary @ 128,
    } reserved { reserved @ 88 }
}

/// What the records of a run are about, on a5.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PhaseHeaderA5 {
    /// Marks a header that was written.
    pub magic: u32,
    /// Scheduler threads.
    pub num_sched_threads: u32,
    /// Records that fit one buffer.
    pub records_per_thread: u32,
    /// Cores in use.
    pub num_cores: u32,
    /// Scheduler thread of each core; −1 is none.
    pub core_to_thread: [i8; A5::MAX_CORES],
    /// Written as zero.
    pub reserved: [u8; 4],
    /// Written by the orchestrator at its end.
    pub orch_summary: OrchestratorSummary,
}

layout! {
    PHASE_HEADER_A5: PhaseHeaderA5 = "AicpuPhaseHeader" on a5, size 256, align 64 {
        magic @ 0, num_sched_threads @ 4, records_per_thread @ 8, num_cores @ 12,
        core_to_thread @ 16, orch_summary @ 128,
    } reserved { reserved @ 124 }
}

/// Phases of one thread, on a2a3.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PhaseBufferA2a3 {
    /// The first `count` are valid.
    pub records: [PhaseRecord; PHASE_BUFFER_RECORDS_A2A3],
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
}

layout! {
    PHASE_BUFFER_A2A3: PhaseBufferA2a3 = "PhaseBuffer" on a2a3, size 524352, align 64 {
        records @ 0, count @ 524288,
    } reserved { reserved @ 524292 }
}

/// Phases of one thread, on a5.
#[repr(C, align(64))]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PhaseBufferA5 {
    /// The first `count` are valid.
    pub records: [PhaseRecord; PHASE_BUFFER_RECORDS_A5],
    /// Records in use.
    pub count: u32,
    /// Written as zero.
    pub reserved: [u32; 15],
}

layout! {
    PHASE_BUFFER_A5: PhaseBufferA5 = "PhaseBuffer" on a5, size 16000064, align 64 {
        records @ 0, count @ 16000000,
    } reserved { reserved @ 16000004 }
}
