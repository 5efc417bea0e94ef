//! Tasks of many blocks: which core gets which block, with and without a common start.
//!
//! The layout is that of spec trb §9.5: a block writes its index into a cache line of its own, one
//! line for a task on vector cores, three for one on whole clusters. Everything else must stay.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::sync::atomic::{AtomicU64, Ordering};

use host_runner::arguments::Arguments;
use host_runner::callable::KernelImage;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Worker};
use protocol::{CoreType, StatusCode};
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, SENTINEL, assert_fault, assert_works, open, threads};

/// Elements in a cache line of 64 bytes.
const LINE: usize = 16;
/// What the output holds before; no block has this index.
const UNTOUCHED: f32 = -1.0;

/// One task.
#[derive(Clone, Copy)]
struct Task {
    blocks: u64,
    /// Whether a block takes a whole cluster, and not one vector core.
    whole: bool,
    /// Whether all blocks start together.
    together: bool,
}

const fn vector(blocks: u64) -> Task {
    Task { blocks, whole: false, together: false }
}

const fn mixed(blocks: u64) -> Task {
    Task { blocks, whole: true, together: false }
}

impl Task {
    const fn together(self) -> Self {
        Self { together: true, ..self }
    }

    fn scalar(self) -> u64 {
        self.blocks | u64::from(self.whole) << 16 | u64::from(self.together) << 17
    }

    /// What its lines hold afterwards.
    fn lines(self) -> impl Iterator<Item = f32> {
        let lines_per_block = if self.whole { 3 } else { 1 };
        (0..self.blocks).flat_map(move |block| vec![block as f32; lines_per_block])
    }
}

/// The output of tasks whose lines follow one another.
fn expected(tasks: &[Task]) -> Vec<f32> {
    let line = |value: f32| {
        let mut line = [UNTOUCHED; LINE];
        line[0] = value;
        line
    };
    tasks.iter().flat_map(|task| task.lines()).flat_map(line).collect()
}

fn both_kernels(name: &str) -> Vec<KernelImage> {
    vec![sources::kernel(0, CoreType::Aic, name), sources::kernel(1, CoreType::Aiv, name)]
}

fn with_entry(entry: &str, kernel: &str) -> (Worker, CallableHandle) {
    let worker = open();
    let handle = worker.register(&sources::callable("spmd", entry, both_kernels(kernel))).unwrap();
    (worker, handle)
}

/// Runs the tasks, each after the one before, and then each with its own part of the output, so
/// that they run side by side.
#[track_caller]
fn check(block_dims: &[u32], tasks: &[Task]) {
    let (worker, handle) = with_entry("blocks", "mark_block");
    let expected = expected(tasks);
    for (aicpu_threads, apart) in AICPU_THREADS.into_iter().flat_map(|n| [(n, 0), (n, 1)]) {
        for &block_dim in block_dims {
            let mut out = vec![UNTOUCHED; expected.len()];
            let mut arguments = Arguments::new();
            arguments.push_inout(&mut out, &[expected.len() as u32]).unwrap();
            arguments.push_scalar(apart).unwrap();
            for task in tasks {
                arguments.push_scalar(task.scalar()).unwrap();
            }
            let config = RunConfig { block_dim, ..threads(aicpu_threads) };
            let report = worker.run(&handle, &mut arguments, &config).unwrap();
            assert_eq!(report.tasks, tasks.len() as u64);
            let wrong = out.iter().zip(&expected).position(|(got, expected)| got != expected);
            assert_eq!(wrong, None, "{aicpu_threads} threads, block_dim {block_dim}, {apart}");
        }
    }
}

#[test]
fn vector_blocks_run_once_each_however_many_there_are() {
    check(&[24, 3, 1], &[vector(4), vector(16), vector(24), vector(48), vector(96)]);
}

#[test]
fn cluster_blocks_run_once_on_each_of_their_cores() {
    check(&[24, 3, 1], &[mixed(2), mixed(8), mixed(12), mixed(24), mixed(48)]);
    check(&[24, 1], &[mixed(48), mixed(48)]);
}

#[test]
fn blocks_that_start_together_do_so_next_to_others() {
    let tasks = [mixed(2).together(), mixed(8).together(), mixed(2), mixed(12).together()];
    check(&[24, 12], &tasks);
    let tasks = [vector(4).together(), vector(16).together(), vector(4), vector(24).together()];
    check(&[24, 12], &tasks);
    let edge = [1, 8, 9, 23].map(|blocks| mixed(blocks).together());
    check(&[24, 23], &[edge.as_slice(), &[mixed(1)]].concat());
}

#[test]
fn tasks_that_start_together_are_neither_starved_nor_starve_others() {
    let starvation = [[mixed(4); 9].as_slice(), &[mixed(6).together()]].concat().repeat(2);
    check(&[24], &starvation);
    let mut round = vec![mixed(4); 4];
    round.extend([mixed(12).together(); 2]);
    round.extend([vector(8).together(); 2]);
    round.push(vector(4));
    check(&[24, 13], &round.repeat(6));
}

#[test]
fn several_tasks_that_need_all_cores_at_once_take_turns() {
    let all = [mixed(24).together(), vector(48).together(), mixed(23).together()];
    check(&[24], &all.repeat(4));
    check(&[1], &[mixed(1).together(), vector(2).together()].repeat(10));
}

#[test]
fn more_blocks_at_once_than_there_are_cores_are_refused() {
    let (worker, handle) = with_entry("blocks", "mark_block");
    for aicpu_threads in AICPU_THREADS {
        for (task, limit) in [(mixed(4), "limit=3"), (vector(7), "limit=6")] {
            let mut out = vec![UNTOUCHED; expected(&[task]).len()];
            let mut arguments = Arguments::new();
            arguments.push_inout(&mut out, &[(task.lines().count() * LINE) as u32]).unwrap();
            arguments.push_scalar(0).unwrap();
            arguments.push_scalar(task.together().scalar()).unwrap();
            let config = RunConfig { block_dim: 3, ..threads(aicpu_threads) };
            let result = worker.run(&handle, &mut arguments, &config);
            assert_fault(result, StatusCode::RequireSyncStartInvalid, &[limit, "3 clusters"]);
            assert!(out.iter().all(|element| *element == UNTOUCHED));
            assert_works(&worker, &config);
        }
    }
}

#[test]
fn a_core_knows_its_block_and_gets_the_scalars_as_bits() {
    let (worker, handle) = with_entry("described", "describe_block");
    for blocks in [1, 5, 30] {
        // -5, 1.5f, ~0 and true, zero-extended.
        let scalars = [0xFFFF_FFFB, 0x3FC0_0000, u64::MAX, 1];
        let core = |block: u64, is_vector: u64, lane: u64| {
            [[is_vector, block, blocks, lane], scalars].concat()
        };
        let cluster = |block| [core(block, 0, 0), core(block, 1, 0), core(block, 1, 1)].concat();
        let expected: Vec<u64> = (0..blocks).flat_map(cluster).collect();
        for aicpu_threads in AICPU_THREADS {
            let mut passed = Cells {
                cells: vec![SENTINEL; expected.len()],
                scalars: vec![blocks],
                ..Cells::default()
            };
            passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
            assert_eq!(passed.cells, expected);
        }
    }
}

#[test]
fn blocks_that_started_together_can_wait_for_one_another() {
    let (worker, handle) = with_entry("meetings", "meet");
    for (aicpu_threads, blocks) in [(1, 12), (3, 12), (4, 48)] {
        let counters: [AtomicU64; 4] = Default::default();
        let addresses = counters.iter().map(|each| each.as_ptr().expose_provenance() as u64);
        let mut passed = Cells {
            cells: vec![SENTINEL; blocks * counters.len()],
            scalars: [blocks as u64].into_iter().chain(addresses).collect(),
            ..Cells::default()
        };
        passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
        assert_eq!(passed.cells, vec![1; blocks * counters.len()], "1: met, 2: waited in vain");
        assert!(counters.iter().all(|each| each.load(Ordering::Relaxed) == blocks as u64));
    }
}
