//! The a5 chip where it differs from a2a3 (spec trb §11): more clusters and AICPU threads, spellings
//! of its own, and what the headers do for it.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use host_runner::device::LostCause;
use host_runner::run::{RunConfig, RunError, RunReport};
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::{ChipName, CoreType, StatusCode};
use tests::flag::Flag;
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_fault, assert_works, open_on, threads};

/// Clusters and AICPU threads of the chip.
const CLUSTERS: u32 = 36;
const THREADS: u32 = 7;

/// A worker on a5 with a callable whose kernels are one source for both types of core.
fn with_blocks(entry: &str, kernel: &str) -> (Worker, CallableHandle) {
    let worker = open_on(PlatformName::A5Sim);
    let of = |id, core_type| sources::kernel_for(ChipName::A5, id, core_type, kernel);
    let kernels = vec![of(0, CoreType::Aic), of(1, CoreType::Aiv)];
    let handle =
        worker.register(&sources::callable_for(ChipName::A5, "spmd", entry, kernels)).unwrap();
    (worker, handle)
}

fn run(
    worker: &Worker,
    handle: &CallableHandle,
    cells: &mut Vec<u64>,
    scalars: &[u64],
    config: &RunConfig,
) -> Result<RunReport, RunError> {
    let mut passed = Cells { cells: cells.clone(), scalars: scalars.to_vec(), ..Cells::default() };
    let result = passed.run(worker, handle, config);
    *cells = passed.cells;
    result
}

/// Settings for all clusters.
fn wide(aicpu_threads: u32) -> RunConfig {
    RunConfig { block_dim: CLUSTERS, ..threads(aicpu_threads) }
}

#[test]
fn graphs_run_on_every_number_of_threads_with_all_clusters() {
    let worker = open_on(PlatformName::A5Sim);
    for aicpu_threads in 1..=THREADS {
        assert_works(&worker, &wide(aicpu_threads));
        // Fewer clusters than threads that schedule, too.
        assert_works(&worker, &RunConfig { block_dim: 2, ..threads(aicpu_threads) });
    }
}

#[test]
fn blocks_on_all_clusters_know_who_they_are() {
    let (worker, handle) = with_blocks("described", "describe_block");
    for (aicpu_threads, blocks) in (1..=THREADS).zip([36, 37, 72, 35, 36, 100, 36]) {
        let scalars = [0xFFFF_FFFB, 0x3FC0_0000, u64::MAX, 1];
        let core = |block, is_vector, lane| [[is_vector, block, blocks, lane], scalars].concat();
        let cluster = |block| [core(block, 0, 0), core(block, 1, 0), core(block, 1, 1)].concat();
        let expected: Vec<u64> = (0..blocks).flat_map(cluster).collect();
        let mut cells = vec![SENTINEL; expected.len()];
        run(&worker, &handle, &mut cells, &[blocks], &wide(aicpu_threads)).unwrap();
        assert_eq!(cells, expected, "{aicpu_threads} threads");
    }
}

#[test]
fn all_72_vector_cores_run_side_by_side() {
    let (worker, handle) = with_blocks("meetings", "meet");
    for (aicpu_threads, blocks) in [(1, 72), (5, 72), (6, 40), (7, 72)] {
        let counters: [AtomicU64; 2] = Default::default();
        let addresses = counters.iter().map(|each| each.as_ptr().expose_provenance() as u64);
        let scalars: Vec<u64> = [blocks as u64].into_iter().chain(addresses).collect();
        let mut cells = vec![SENTINEL; 2 * blocks];
        run(&worker, &handle, &mut cells, &scalars, &wide(aicpu_threads)).unwrap();
        assert_eq!(cells, vec![1; 2 * blocks], "1: met, 2: waited in vain");
        assert!(counters.iter().all(|each| each.load(Ordering::Relaxed) == blocks as u64));
    }
}

#[test]
fn a_common_start_is_limited_by_the_cores_of_this_chip() {
    let (worker, handle) = with_blocks("meetings", "meet");
    let counter = AtomicU64::new(0);
    for (block_dim, blocks, limit) in [(36, 73, "limit=72"), (25, 51, "limit=50")] {
        let scalars = [blocks, counter.as_ptr().expose_provenance() as u64];
        let config = RunConfig { block_dim, ..threads(THREADS) };
        let mut cells = vec![SENTINEL; blocks as usize];
        let refused = run(&worker, &handle, &mut cells, &scalars, &config);
        let clusters = format!("{block_dim} clusters");
        assert_fault(refused, StatusCode::RequireSyncStartInvalid, &[limit, &clusters]);
    }
    assert_eq!(counter.into_inner(), 0, "no block has started");
}

#[test]
fn clearing_arguments_forgets_dependencies_on_a5_only() {
    for &platform in PlatformName::SIMULATORS {
        let worker = open_on(platform);
        let chip = platform.chip();
        let kernels = vec![sources::kernel_for(chip, 0, CoreType::Aiv, "fill")];
        let source = sources::callable_for(chip, "chips", "clears_its_arguments", kernels);
        let handle = worker.register(&source).unwrap();
        let mut cells = vec![SENTINEL; 2];
        let ended = run(&worker, &handle, &mut cells, &[40], &threads(3));
        match chip {
            ChipName::A2a3 => assert_fault(ended, StatusCode::InvalidArgs, &["add_dep names task"]),
            ChipName::A5 => {
                ended.unwrap();
                assert_eq!(cells, [40, 41]);
            }
        }
    }
}

#[test]
fn a_guard_takes_the_mode_of_its_scope_on_either_chip() {
    for &platform in PlatformName::SIMULATORS {
        let worker = open_on(platform);
        let chip = platform.chip();
        let kernels = vec![sources::kernel_for(chip, 0, CoreType::Aiv, "fill")];
        let source = sources::callable_for(chip, "chips", "guards_a_manual_scope", kernels);
        let handle = worker.register(&source).unwrap();
        for aicpu_threads in [1, 3, 4] {
            let mut cells = vec![SENTINEL; 2];
            run(&worker, &handle, &mut cells, &[40, 0], &threads(aicpu_threads)).unwrap();
            assert_eq!(cells, [40, 41], "the second task is the last");
            // The guard's scope is a manual one: another kind does not go inside.
            let refused = run(&worker, &handle, &mut cells, &[40, 1], &threads(aicpu_threads));
            assert_fault(refused, StatusCode::InvalidArgs, &["AUTO"]);
        }
    }
}

#[test]
fn a_kernel_that_does_not_return_is_named_by_a_core_of_this_chip() {
    let worker = open_on(PlatformName::A5Sim);
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel_for(ChipName::A5, 6, CoreType::Aiv, "wait_for_flag"));
    let source = sources::callable_for(ChipName::A5, "faults", "waits_for_flag", kernels);
    let handle = worker.register(&source).unwrap();
    for aicpu_threads in [1, THREADS] {
        let flag = Flag::new();
        let short = RunConfig {
            stall_timeout: Duration::from_millis(200),
            grace: Duration::from_millis(300),
            ..wide(aicpu_threads)
        };
        let mut cells = vec![SENTINEL];
        let lost = run(&worker, &handle, &mut cells, &[flag.address()], &short).unwrap_err();
        let RunError::DeviceLost(lost) = &lost else { panic!("{lost:?}") };
        let LostCause::Kernel { core, .. } = lost.cause else { panic!("{lost:?}") };
        // With 36 clusters, cores 0 to 35 are cube cores.
        assert!((36..108).contains(&core), "{core}");
        assert_works(&worker, &wide(aicpu_threads));
        flag.set();
        run(&worker, &handle, &mut cells, &[flag.address()], &wide(aicpu_threads)).unwrap();
        assert_eq!(cells, [1]);
    }
}
