//! Rings that are too small, on several threads: a graph either runs to the right result, or is
//! reported as a certain deadlock at once, with a size that leads there.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use host_runner::callable::Callable;
use host_runner::device::RingConfig;
use host_runner::run::{RunConfig, RunError, RunFault};
use host_runner::worker::{Worker, WorkerConfig, WorkerError};
use protocol::{CoreType, StatusCode};
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, assert_works, open, threads};

/// A small generator, so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

/// Cells that the tasks of a graph share.
const CELLS: u64 = 8;

/// The words of `interpreter.cpp`.
const BEGIN: u64 = 0;
const END: u64 = 1;
const MAKE: u64 = 2;
const CHANGE: u64 = 3;
const ALLOCATE: u64 = 4;
const READ: u64 = 5;

/// A graph as the words that the interpreter takes, and what it leaves.
struct Graph {
    words: Vec<u64>,
    expected: Vec<u64>,
}

/// Does each step at once, while the steps are made up.
struct Model {
    cells: Vec<u64>,
    /// Value and length of each tensor of an open scope.
    made: Vec<(u64, u64)>,
    scopes: Vec<usize>,
    carried: u64,
}

impl Model {
    fn take(&mut self, number: u64, step: &[u64; 10]) {
        let [what, first, count, uses, used @ ..] = step;
        let sum = used[..*uses as usize]
            .iter()
            .map(|index| self.made[*index as usize])
            .fold(number.wrapping_add(self.carried), |sum, (value, length)| {
                sum.wrapping_add(value.wrapping_mul(length))
            });
        match *what {
            BEGIN => self.scopes.push(self.made.len()),
            END => self.made.truncate(self.scopes.pop().unwrap()),
            MAKE => self.made.push((sum.wrapping_add(5 * 31), *count)),
            ALLOCATE => self.made.push((5, *count)),
            READ => self.carried = self.made[used[0] as usize].0,
            _ => {
                for cell in &mut self.cells[*first as usize..(first + count) as usize] {
                    *cell = cell.wrapping_mul(31).wrapping_add(sum);
                }
            }
        }
    }
}

fn random_graph(random: &mut Random) -> Graph {
    let cells = vec![1; CELLS as usize];
    let mut model = Model { cells, made: Vec::new(), scopes: Vec::new(), carried: 0 };
    let mut words = Vec::new();
    let mut add = |model: &mut Model, step: [u64; 10]| {
        model.take(words.len() as u64 / 10, &step);
        words.extend(step);
    };
    for _ in 0..4 + random.below(70) {
        let mut step = [0; 10];
        let live = model.made.len() as u64;
        while live > 0 && step[3] < 6 && random.below(3) != 0 {
            step[4 + step[3] as usize] = random.below(live);
            step[3] += 1;
        }
        step[1] = random.below(CELLS);
        step[0] = match random.below(11) {
            0 | 1 if model.scopes.len() < 6 => BEGIN,
            2..=4 if !model.scopes.is_empty() => END,
            5 => ALLOCATE,
            6 | 7 => MAKE,
            8 if step[3] > 0 => READ,
            _ => CHANGE,
        };
        step[2] = match step[0] {
            CHANGE => 1 + random.below(CELLS - step[1]),
            _ => 1 + random.below(300),
        };
        add(&mut model, step);
    }
    while !model.scopes.is_empty() {
        add(&mut model, [END, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    Graph { words, expected: model.cells }
}

fn interpreter() -> Callable {
    let kernels = vec![sources::kernel(0, CoreType::Aiv, "mix_cells")];
    sources::callable("interpreter", "interpret", kernels)
}

/// Runs a graph with these rings; a wait that only the stall limit ends takes far too long.
fn run(graph: &Graph, rings: RingConfig, aicpu_threads: u32) -> Option<RunFault> {
    let worker = Worker::open(WorkerConfig::default().with_rings(rings)).unwrap();
    let handle = worker.register(&interpreter()).unwrap();
    let scalars = vec![graph.words.len() as u64 / 10];
    let cells = vec![1; CELLS as usize];
    let mut passed = Cells { input: graph.words.clone(), cells, scalars };
    let config = RunConfig {
        block_dim: 3,
        stall_timeout: Duration::from_secs(20),
        ..threads(aicpu_threads)
    };
    let start = Instant::now();
    let result = passed.run(&worker, &handle, &config);
    assert!(start.elapsed() < Duration::from_secs(10), "{rings:?}");
    match result {
        Ok(_) => assert_eq!(passed.cells, graph.expected, "{rings:?}"),
        Err(RunError::Fault(fault)) => return Some(fault),
        Err(other) => panic!("{rings:?}: {other}"),
    }
    None
}

/// The same rings with what a report says would do.
fn enlarged(rings: RingConfig, fault: &RunFault) -> RingConfig {
    let named = |variable: &str| -> Option<u64> {
        let (_, rest) = fault.text.split_once(variable)?.1.split_once("to ")?;
        rest.split(' ').next()?.parse().ok()
    };
    let larger = |now: u64, variable: &str| {
        named(variable).map_or(now, |size| if size > now { size } else { panic!("{fault}") })
    };
    RingConfig {
        task_window: larger(rings.task_window, "PTO2_RING_TASK_WINDOW"),
        heap_bytes: larger(rings.heap_bytes, "PTO2_RING_HEAP"),
        dep_pool: larger(rings.dep_pool, "PTO2_RING_DEP_POOL"),
    }
}

#[test]
fn random_graphs_finish_or_are_proved_stuck_at_once_and_the_named_sizes_lead_to_the_result() {
    let mut codes = BTreeMap::new();
    for seed in 1..=60 {
        let mut random = Random(seed);
        let graph = random_graph(&mut random);
        let mut pick = |sizes: [u64; 3]| sizes[random.below(3) as usize];
        let smallest = RingConfig {
            task_window: pick([4, 8, 16]),
            heap_bytes: pick([1024, 4096, 1 << 16]),
            dep_pool: pick([4, 16, 64]),
        };
        for aicpu_threads in [1, 3] {
            let mut rings = smallest;
            while let Some(fault) = run(&graph, rings, aicpu_threads) {
                let code = fault.code.unwrap();
                let certain = [
                    StatusCode::ScopeDeadlock,
                    StatusCode::HeapRingDeadlock,
                    StatusCode::DepPoolOverflow,
                ];
                assert!(certain.contains(&code), "seed {seed}, {rings:?}: {fault}");
                *codes.entry(code).or_insert(0) += 1;
                let before = rings;
                rings = enlarged(rings, &fault);
                assert_ne!(rings, before, "no remedy: {fault}");
            }
            *codes.entry(StatusCode::None).or_insert(0) += 1;
        }
    }
    assert_eq!(codes.len(), 4, "all of it happens: {codes:?}");
}

#[test]
fn the_size_that_is_named_for_one_task_more_is_enough_for_it() {
    // A scope that holds seven slots and wants an eighth; four outputs and a fifth; four edges and
    // a task with a hundred producers.
    let cases = [
        ("crowded_scope", vec![7, 1], RingConfig { task_window: 8, ..RingConfig::default() }),
        ("crowded_scope", vec![5, 128], RingConfig { heap_bytes: 4096, ..RingConfig::default() }),
        ("crowded_scope", vec![1, 1024], RingConfig { heap_bytes: 4096, ..RingConfig::default() }),
        ("fan_in", vec![], RingConfig { dep_pool: 4, ..RingConfig::default() }),
    ];
    for (entry, scalars, mut rings) in cases {
        for aicpu_threads in AICPU_THREADS {
            let attempt = |rings: RingConfig| {
                let worker = Worker::open(WorkerConfig::default().with_rings(rings)).unwrap();
                let callable = sources::callable("graphs", entry, sources::cell_kernels());
                let handle = worker.register(&callable).unwrap();
                let scalars = scalars.clone();
                let mut passed = Cells { cells: vec![0], scalars, ..Cells::default() };
                let result = passed.run(&worker, &handle, &threads(aicpu_threads));
                assert_works(&open(), &threads(aicpu_threads));
                result
            };
            let small = rings;
            let RunError::Fault(fault) = attempt(rings).unwrap_err() else { panic!("{entry}") };
            rings = enlarged(rings, &fault);
            // The fan-in is the last of a hundred tasks that take an edge each.
            let mut result = attempt(rings);
            while let (Err(RunError::Fault(fault)), "fan_in") = (&result, entry) {
                rings = enlarged(rings, fault);
                assert!(rings.dep_pool < 1000, "{fault}");
                result = attempt(rings);
            }
            result.unwrap_or_else(|error| panic!("{entry}, {rings:?}: {error}"));
            rings = small;
        }
    }
}

#[test]
fn ring_sizes_below_the_smallest_or_beyond_reason_are_typed_errors() {
    let open = |task_window, heap_bytes, dep_pool| {
        let rings = RingConfig { task_window, heap_bytes, dep_pool };
        Worker::open(WorkerConfig::default().with_rings(rings))
    };
    for (task_window, heap_bytes, dep_pool, what) in
        [(2, 0, 0, "task window of 2"), (0, 512, 0, "heap size of 512"), (0, 0, 3, "pool of 3")]
    {
        let error = open(task_window, heap_bytes, dep_pool).unwrap_err();
        assert!(matches!(error, WorkerError::Ring { .. }));
        assert!(error.to_string().contains(what), "{error}");
    }
    let too_much = |error: &dyn std::error::Error, expected: &str| {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        assert!(text.contains(expected), "{expected:?} is missing in: {text}");
    };
    for (task_window, dep_pool, expected) in [
        (1 << 27, 0, "134217728"),
        (1 << 63, 0, "9223372036854775808"),
        (0, (1 << 30) - 1, "1073741823"),
        (0, u64::MAX, "18446744073709551615"),
    ] {
        let worker = open(task_window, 0, dep_pool).unwrap();
        let callable = sources::callable("graphs", "empty", Vec::new());
        let handle = worker.register(&callable).unwrap();
        let error = Cells::default().run(&worker, &handle, &threads(2)).unwrap_err();
        too_much(&error, expected);
        too_much(&error, "from 4 to 2^26, the pool of a ring less than 2^30 - 1");
    }
    // Address space for four rings of this size there is not.
    for heap_bytes in [1 << 50, 1 << 62, 1 << 63] {
        let worker = open(0, heap_bytes, 0).unwrap();
        let callable = sources::callable("graphs", "empty", Vec::new());
        let handle = worker.register(&callable).unwrap();
        let error = Cells::default().run(&worker, &handle, &threads(2)).unwrap_err();
        too_much(&error, "make the rings smaller");
    }
}
