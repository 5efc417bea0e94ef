//! The bars, in the order in which they are listed.

use crate::record::{Findings, Target};

/// A bar.
pub(crate) struct Bar {
    pub(crate) id: &'static str,
    pub(crate) unit: &'static str,
    /// The most that meets it.
    pub(crate) limit: f64,
}

const fn bar(id: &'static str, unit: &'static str, limit: f64) -> Bar {
    Bar { id, unit, limit }
}

/// Bytes of a mebibyte.
const MEBIBYTE: f64 = (1 << 20) as f64;

/// All bars.
pub(crate) const BARS: &[Bar] = &[
    bar("run_p50_ns", "ns", 8_000.0),
    bar("run_vs_handoff", "ratio", 4.0),
    bar("enqueue_p50_ns", "ns", 1_500.0),
    bar("run_allocations", "count", 0.0),
    bar("run_syscalls", "count", 0.0),
    bar("alternate_ratio", "ratio", 1.05),
    bar("task_independent_ns", "ns", 150.0),
    bar("task_chain_ns", "ns", 250.0),
    bar("task_forkjoin_ns", "ns", 200.0),
    bar("spmd_block_ns", "ns", 60.0),
    bar("thousand_tasks_ns", "ns", 300_000.0),
    bar("register_new_ns", "ns", 1_000_000.0),
    bar("register_vs_copy", "ratio", 3.0),
    bar("register_same_ns", "ns", 20_000.0),
    bar("hbg_task_ns", "ns", 400.0),
    bar("hbg_replay_ns", "ns", 150.0),
    bar("idle_rss_bytes", "bytes", 24.0 * MEBIBYTE),
    bar("busy_rss_bytes", "bytes", 96.0 * MEBIBYTE),
    bar("idle_cpu_percent", "percent", 0.0),
];

/// The bar of this id.
pub(crate) fn find(id: &str) -> Option<&'static Bar> {
    BARS.iter().find(|bar| bar.id == id)
}

/// What was measured, in the order of the bars.
pub(crate) fn list(findings: &Findings) -> Vec<Target> {
    let of = |bar: &Bar| {
        let found = findings.measured.iter().find(|(id, _)| *id == bar.id);
        found.map(|&(_, measured)| Target {
            id: bar.id.to_owned(),
            measured,
            unit: bar.unit.to_owned(),
        })
    };
    BARS.iter().filter_map(of).collect()
}
