//! Graphs under seeds: a seed is one interleaving, which comes again, and no interleaving changes
//! what a graph computes.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::collections::HashSet;
use std::time::Duration;

use host_runner::callable::KernelImage;
use host_runner::device::RingConfig;
use host_runner::run::RunConfig;
use host_runner::worker::{Interleaving, Worker, WorkerConfig};
use protocol::CoreType;
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, FORK_JOIN_TASKS, SENTINEL, fork_join};

/// Seeds of each graph. Small scenes go through many more (`cargo xtask test seeds`).
const SEEDS: u64 = 16;

/// A graph of the tests with what it leaves.
struct Graph {
    source: &'static str,
    entry: &'static str,
    kernels: fn() -> Vec<KernelImage>,
    rings: RingConfig,
    passed: Cells,
    expected: Vec<u64>,
    tasks: u64,
    block_dims: [u32; 2],
}

impl Graph {
    /// Runs it on a worker of its own, which has run nothing before. What is wrong is an error.
    fn run(&self, seed: u64, aicpu_threads: u32, block_dim: u32) -> Result<Interleaving, String> {
        let config =
            WorkerConfig::default().with_rings(self.rings).with_interleaving_seed(Some(seed));
        let worker = Worker::open(config).unwrap();
        let callable = sources::callable(self.source, self.entry, (self.kernels)());
        let handle = worker.register(&callable).unwrap();
        let config = RunConfig {
            aicpu_threads,
            block_dim,
            // Of the virtual clock, which no machine stops; the time limit is of the machine's.
            stall_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(600),
            ..RunConfig::default()
        };
        let mut passed = self.passed.clone();
        let report = passed.run(&worker, &handle, &config).map_err(|error| format!("{error:?}"))?;
        if passed.cells != self.expected || report.tasks != self.tasks {
            return Err(format!("{} tasks left {:?}", report.tasks, passed.cells));
        }
        Ok(worker.interleaving().unwrap())
    }
}

fn branches() -> Graph {
    let input: Vec<u64> = (0..4).map(|cell| cell * cell).collect();
    let expected = fork_join(&input, 3);
    Graph {
        source: "graphs",
        entry: "fork_join",
        kernels: sources::cell_kernels,
        rings: RingConfig::default(),
        passed: Cells { input, cells: vec![SENTINEL; 4], scalars: vec![3] },
        expected,
        tasks: FORK_JOIN_TASKS,
        block_dims: [3, 1],
    }
}

/// Consumers in inner scopes, which may be done before older ones know of their producer.
fn inner_consumers() -> Graph {
    let (outer, inner) = (4, 8);
    let state = (0..outer).fold(1_u64, |state, i| state.wrapping_mul(3).wrapping_add(5 * i));
    Graph {
        source: "graphs",
        entry: "inner_first",
        kernels: sources::cell_kernels,
        rings: RingConfig { task_window: 4, heap_bytes: 0, dep_pool: 4 },
        passed: Cells { cells: vec![1], scalars: vec![outer, inner], ..Cells::default() },
        expected: vec![state],
        tasks: outer * (5 + 2 * inner),
        block_dims: [3, 4],
    }
}

/// Many blocks of several tasks at once, and tasks whose blocks start together, twice in a row.
fn common_starts() -> Graph {
    const LINE: usize = 8;
    // Blocks, whether on whole clusters, whether together.
    let round = [(7, 0, 0), (3, 1, 1), (2, 0, 1), (4, 1, 0), (2, 1, 1), (5, 0, 1), (9, 0, 0)];
    let tasks = [round, round].concat();
    let blocks = tasks.iter().flat_map(|&(blocks, whole, _)| {
        (0..blocks).flat_map(move |block| vec![block; if whole == 1 { 3 } else { 1 }])
    });
    // A block writes its index as a float at the start of its line; two floats are a cell.
    let untouched = u64::from((-1.0_f32).to_bits());
    let line = |block: u64| {
        let mut line = [untouched | untouched << 32; LINE];
        line[0] = u64::from((block as f32).to_bits()) | untouched << 32;
        line
    };
    let mut expected: Vec<u64> = blocks.flat_map(line).collect();
    // The orchestration counts elements as if they were floats.
    expected.resize(2 * expected.len(), untouched | untouched << 32);
    let scalar = |(blocks, whole, together): (u64, u64, u64)| blocks | whole << 16 | together << 17;
    Graph {
        source: "spmd",
        entry: "blocks",
        kernels: || {
            let kernel = |id, core| sources::kernel(id, core, "mark_block");
            vec![kernel(0, CoreType::Aic), kernel(1, CoreType::Aiv)]
        },
        rings: RingConfig::default(),
        passed: Cells {
            cells: vec![untouched | untouched << 32; expected.len()],
            scalars: std::iter::once(1).chain(tasks.iter().copied().map(scalar)).collect(),
            ..Cells::default()
        },
        expected,
        tasks: tasks.len() as u64,
        block_dims: [3, 4],
    }
}

/// Inner scopes whose slots are used again many times.
fn tiny_rings() -> Graph {
    let (outer, inner) = (4, 10);
    let turns = (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j)));
    let state =
        turns.fold(1_u64, |state, (i, j)| state.wrapping_mul(3).wrapping_add(5 + 100 * i + j));
    Graph {
        source: "graphs",
        entry: "nested_scopes",
        kernels: sources::cell_kernels,
        rings: RingConfig { task_window: 4, heap_bytes: 0, dep_pool: 4 },
        passed: Cells { cells: vec![1], scalars: vec![outer, inner], ..Cells::default() },
        expected: vec![state],
        tasks: 1 + outer * (1 + 2 * inner),
        block_dims: [3, 1],
    }
}

#[test]
fn a_seed_is_one_interleaving_and_seeds_differ() {
    let graph = branches();
    for aicpu_threads in AICPU_THREADS {
        let mut seen = HashSet::new();
        // As many as are enough; on a machine that stops threads for long, most tell nothing.
        for seed in 0..1000 {
            if seen.len() > 5 && seed >= 10 {
                break;
            }
            let first = graph.run(seed, aicpu_threads, 3).unwrap();
            let again = graph.run(seed, aicpu_threads, 3).unwrap();
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
    let mut wrong = Vec::new();
    for graph in [branches(), tiny_rings(), inner_consumers(), common_starts()] {
        let settings = AICPU_THREADS.iter().flat_map(|n| graph.block_dims.map(|dim| (*n, dim)));
        let mut seeds = (1..=SEEDS).zip(settings.collect::<Vec<_>>().into_iter().cycle());
        // One a graph: the others are like it.
        let first = seeds.find_map(|(seed, (threads, dim))| {
            let problem = graph.run(seed, threads, dim).err()?;
            Some(format!("{}, seed {seed}, {threads} threads, {dim}: {problem}", graph.entry))
        });
        wrong.extend(first);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
