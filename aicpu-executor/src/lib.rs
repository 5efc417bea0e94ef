//! The AICPU program: loads orchestrations, infers dependencies, schedules tasks over cores.
//!
//! `no_std` and without an allocator: the same code runs in the simulator's process and as a
//! shared object on the chip. What differs is behind [`platform::Platform`]. The entry is
//! [`Executor::execute`], which every AICPU thread of a run calls.
//!
//! | module | what |
//! |---|---|
//! | [`executor`] | one run from arrival to departure of its threads |
//! | [`loader`] | ELF shared objects, checked first and loaded then |
//! | `orch_so_table` | the loaded orchestrations, by callable id |
//! | [`loaded_code`] | where loaded code is, for whoever looks into it |
//! | `ops`, [`variadic`] | the operations that an orchestration calls |
//! | `orchestrator` | from a submission to a task with its dependencies |
//! | `scheduler` | from a ready task to a completed one |
//! | `region` | the memory that orchestrator and scheduler share |
//! | `graph` | a graph that the host has built, for the scheduler alone |
//! | [`fault`], `wait` | the first error of a run; the one wait primitive |
//! | [`log`] | records of executor and orchestration, and their sink |
//!
//! `unsafe` is where memory is shared with other threads, cores or foreign code: `region`,
//! `orchestrator` (slots), `graph::opening`, `scheduler::core_table`, `ops`, `orch_so_table`, `executor`,
//! `loader::commit`'s callers and `variadic`.

// Tests may use std without saying so, as the sources that they share with integration tests do.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(loom, allow(dead_code, reason = "a model run compiles the lock-free pieces alone"))]

// For sources that are shared with integration tests, which know the crate by this name.
#[cfg(test)]
extern crate self as aicpu_executor;
#[cfg(test)]
extern crate std;

#[cfg(not(loom))]
pub mod executor;
#[cfg(not(loom))]
pub mod fault;
#[cfg(not(loom))]
mod graph;
#[cfg(not(loom))]
mod kernels;
#[cfg(not(loom))]
pub mod loaded_code;
#[cfg(not(loom))]
pub mod loader;
#[cfg(not(loom))]
pub mod log;
#[cfg(not(loom))]
mod ops;
#[cfg(not(loom))]
mod orch_so_table;
#[cfg(not(loom))]
mod orchestrator;
#[cfg(not(loom))]
pub mod platform;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod scheduler;
mod sync;
#[cfg(all(test, not(loom)))]
mod testing;
#[cfg(not(loom))]
pub mod variadic;
#[cfg(not(loom))]
mod wait;

// A model run compiles the lock-free pieces alone: the rest lays atomics over shared memory, which
// loom's cannot do.
#[cfg(loom)]
mod executor {
    mod gate;
    mod roll;
}
#[cfg(loom)]
mod graph {
    mod pending_count;
}
#[cfg(loom)]
mod log {
    mod ownership;
}
#[cfg(loom)]
mod orch_so_table {
    mod call_record;
    mod slot_gate;
}
#[cfg(loom)]
mod region {
    mod block_cursor;
    mod consumers;
}
#[cfg(loom)]
mod scheduler {
    mod block_board;
    mod meeting_point;
    pub(crate) mod ready_queue;
    mod run_counters;
    mod try_lock;
}

#[cfg(not(loom))]
pub use executor::{Executor, RunCounts};
#[cfg(not(loom))]
pub use fault::{Fault, FaultText};
#[cfg(not(loom))]
pub use orch_so_table::{ForeignFunction, RunningCall, UnloadOutcome};
