//! Records of the diagnostics: task times, phases, hardware counters, tensor dumps.
//!
//! All four work alike. The host allocates buffers and puts their addresses on a
//! [`FreeQueue`](queue::FreeQueue) per core or thread; the AICPU takes one, fills it, and announces
//! it as a [`ReadyBuffer`](queue::ReadyBuffer) in a queue of its thread; the host collects it. Each
//! queue has one writer per end, so that its two counters suffice (spec trb §13, and the layout
//! tables for the numbers).

pub mod dump;
pub mod phase;
pub mod pmu;
pub mod queue;
pub mod swimlane;
