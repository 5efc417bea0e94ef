//! Callables whose orchestration runs on the host and builds a graph there (hbg): the reference's
//! scenarios, entries that fail, graphs and memory that are wrong, kernels that fail, what is uploaded,
//! and what happens beside other runs.
//!
//! Whole programs are in the scenes; that nothing grows over ten million tasks is `host_graph_runs`.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "host_graph/failing_entries.rs"]
mod failing_entries;
#[path = "host_graph/failing_kernels.rs"]
mod failing_kernels;
#[path = "host_graph/lives.rs"]
mod lives;
#[path = "host_graph/loading.rs"]
mod loading;
#[path = "host_graph/lost_devices.rs"]
mod lost_devices;
#[path = "host_graph/memory.rs"]
mod memory;
#[path = "host_graph/scenarios.rs"]
mod scenarios;
#[path = "host_graph/setting.rs"]
mod setting;
#[path = "host_graph/side_by_side.rs"]
mod side_by_side;
#[path = "host_graph/unregistering.rs"]
mod unregistering;
#[path = "host_graph/uploads.rs"]
mod uploads;
#[path = "host_graph/wrong_graphs.rs"]
mod wrong_graphs;
