//! Graphs under seeds: a seed is one interleaving, which comes again, and no interleaving changes
//! what a graph computes.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::collections::HashSet;
use std::time::Duration;

use host_runner::device::RingConfig;
use host_runner::run::RunConfig;
use host_runner::worker::{Interleaving, Worker, WorkerConfig};
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, FORK_JOIN_TASKS, SENTINEL, fork_join};

/// A graph of `graphs.cpp` with what it leaves.
struct Graph {
    entry: &'static str,
    rings: RingConfig,
    passed: Cells,
    expected: Vec<u64>,
    tasks: u64,
}

impl Graph {
    /// Runs it on a worker of its own, which has run nothing before.
    #[track_caller]
    fn run(&self, seed: u64, aicpu_threads: u32, block_dim: u32) -> Interleaving {
        let config =
            WorkerConfig::default().with_rings(self.rings).with_interleaving_seed(Some(seed));
        let worker = Worker::open(config).unwrap();
        let callable = sources::callable("graphs", self.entry, sources::cell_kernels());
        let handle = worker.register(&callable).unwrap();
        let config = RunConfig {
            aicpu_threads,
            block_dim,
            stall_timeout: Duration::from_secs(5),
            ..RunConfig::default()
        };
        let mut passed = self.passed.clone();
        let setting = format!("{}, seed {seed}, {aicpu_threads} threads", self.entry);
        match passed.run(&worker, &handle, &config) {
            Ok(report) => assert_eq!(report.tasks, self.tasks, "{setting}"),
            Err(error) => panic!("{setting}: {error:?}"),
        }
        assert_eq!(passed.cells, self.expected, "{setting}");
        worker.interleaving().unwrap()
    }
}

fn branches() -> Graph {
    let input: Vec<u64> = (0..4).map(|cell| cell * cell).collect();
    let expected = fork_join(&input, 3);
    let passed = Cells { input, cells: vec![SENTINEL; 4], scalars: vec![3] };
    let rings = RingConfig::default();
    Graph { entry: "fork_join", rings, passed, expected, tasks: FORK_JOIN_TASKS }
}

/// Inner scopes whose slots are used again many times.
fn tiny_rings() -> Graph {
    let (outer, inner) = (4, 10);
    let turns = (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j)));
    let state =
        turns.fold(1_u64, |state, (i, j)| state.wrapping_mul(3).wrapping_add(5 + 100 * i + j));
    Graph {
        entry: "nested_scopes",
        rings: RingConfig { task_window: 4, heap_bytes: 0, dep_pool: 0 },
        passed: Cells { cells: vec![1], scalars: vec![outer, inner], ..Cells::default() },
        expected: vec![state],
        tasks: 1 + outer * (1 + 2 * inner),
    }
}

#[test]
fn a_seed_is_one_interleaving_and_seeds_differ() {
    let graph = branches();
    for aicpu_threads in AICPU_THREADS {
        let mut seen = HashSet::new();
        for seed in 0..10 {
            let first = graph.run(seed, aicpu_threads, 3);
            let again = graph.run(seed, aicpu_threads, 3);
            assert!(first.points > 100, "{first:?}");
            // On a machine that stops a thread for long, somebody may have had to go on without it.
            if first.is_replayable && again.is_replayable {
                assert_eq!(first, again, "seed {seed}, {aicpu_threads} threads");
                seen.insert(first.hash);
            }
        }
        assert!(seen.len() > 5, "{aicpu_threads} threads: {} interleavings", seen.len());
    }
}

#[test]
fn no_interleaving_changes_what_a_graph_computes() {
    for graph in [branches(), tiny_rings()] {
        for seed in 0..seeds() {
            // CAST: small numbers.
            let (aicpu_threads, block_dim) = (1 + (seed % 4) as u32, 1 + (seed % 3) as u32);
            graph.run(seed, aicpu_threads, block_dim);
        }
    }
}

/// 20 unless `SEEDS` says otherwise.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20)
}
