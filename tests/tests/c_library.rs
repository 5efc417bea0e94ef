//! The C library through `dlopen`, as existing clients use it (spec callable §2, §6.3, §7).

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "c_library/communicators.rs"]
mod communicators;
#[path = "c_library/hazards.rs"]
mod hazards;
#[path = "c_library/host_graph_ends.rs"]
mod host_graph_ends;
#[path = "c_library/host_graph_tensors.rs"]
mod host_graph_tensors;
#[path = "c_library/host_graphs.rs"]
mod host_graphs;
#[path = "c_library/hostile.rs"]
mod hostile;
#[path = "c_library/processes.rs"]
mod processes;
#[path = "c_library/refusals.rs"]
mod refusals;
#[path = "c_library/scenarios.rs"]
mod scenarios;
#[path = "c_library/setting.rs"]
mod setting;
#[path = "c_library/submissions.rs"]
mod submissions;
#[path = "c_library/symbols.rs"]
mod symbols;
