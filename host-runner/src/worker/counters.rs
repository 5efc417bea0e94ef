//! What a worker has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::registry::{GraphReport, Traffic};

/// What a worker has done so far. No number ever falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Callables registered.
    pub registrations: u64,
    /// Callables unregistered and given back, by dropping their last handle included.
    pub unregistrations: u64,
    /// Orchestrations that a device has loaded, each acknowledged: one for each registration of trb, and
    /// one more for each that was placed again after its device was lost.
    pub loads: u64,
    /// As the reference counts loads of the AICPU (spec callable §3.6): registrations that have been
    /// run at least once.
    pub aicpu_dlopen_count: u64,
    /// As the reference counts loads on the host: registrations of callables whose orchestration runs
    /// there (spec callable §3.6).
    pub host_dlopen_count: u64,
    /// Bytes of kernels and orchestrations that were copied to a device to register them.
    pub bytes_uploaded: u64,
    /// Kernels and orchestrations that a device had already, byte for byte.
    pub hits: u64,
    /// Graphs that were uploaded whole (hbg). A run without tasks has none, and counts nowhere here.
    pub graph_uploads: u64,
    /// Runs of graphs that a device had already, but for changed argument words (hbg).
    pub graph_replays: u64,
    /// Bytes of graphs and of changed argument words that were copied to a device (hbg).
    pub graph_bytes_uploaded: u64,
    /// Runs that succeeded.
    pub runs: u64,
    /// Runs that were accepted and did not succeed, cancelled ones included.
    pub failed_runs: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) registrations: AtomicU64,
    pub(super) unregistrations: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) host_opens: AtomicU64,
    pub(super) first_runs: AtomicU64,
    pub(super) bytes_uploaded: AtomicU64,
    pub(super) hits: AtomicU64,
    pub(super) graph_uploads: AtomicU64,
    pub(super) graph_replays: AtomicU64,
    pub(super) graph_bytes_uploaded: AtomicU64,
    pub(super) runs: AtomicU64,
    pub(super) failed_runs: AtomicU64,
}

impl Counting {
    /// Counts one more.
    pub(super) fn count(counter: &AtomicU64) {
        // ORDERING: Relaxed: a number for people and tests, which join threads before they look.
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more of what only turns count, one after the other.
    pub(super) fn count_in_turn(counter: &AtomicU64) {
        // ORDERING: Relaxed (both): see `count`; turns order those who write.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts what a placement took.
    pub(super) fn placed(&self, traffic: Traffic) {
        // ORDERING: Relaxed (all): see `count`.
        self.loads.fetch_add(traffic.loads, Ordering::Relaxed);
        self.bytes_uploaded.fetch_add(traffic.bytes_uploaded, Ordering::Relaxed);
        self.hits.fetch_add(traffic.hits, Ordering::Relaxed);
    }

    /// Counts what it took to bring a graph to the device.
    pub(super) fn graph(&self, graph: GraphReport) {
        if graph.tasks == 0 {
            return;
        }
        Self::count(if graph.is_replay { &self.graph_replays } else { &self.graph_uploads });
        // ORDERING: Relaxed: see `count`.
        self.graph_bytes_uploaded.fetch_add(graph.bytes_uploaded, Ordering::Relaxed);
    }

    /// All of them.
    pub(super) fn read(&self) -> Counters {
        // ORDERING: Relaxed: see `count`.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            registrations: read(&self.registrations),
            unregistrations: read(&self.unregistrations),
            loads: read(&self.loads),
            aicpu_dlopen_count: read(&self.first_runs),
            host_dlopen_count: read(&self.host_opens),
            bytes_uploaded: read(&self.bytes_uploaded),
            hits: read(&self.hits),
            graph_uploads: read(&self.graph_uploads),
            graph_replays: read(&self.graph_replays),
            graph_bytes_uploaded: read(&self.graph_bytes_uploaded),
            runs: read(&self.runs),
            failed_runs: read(&self.failed_runs),
        }
    }
}
