//! The correctness weaknesses of the reference (spec trb §14.1, §14.2): for each, the situation is
//! made to happen, and a test that would fail on it.
//!
//! "Unit" means the tests of `aicpu-executor`, where cores run in an order that a seed picks.
//!
//! | §14.1 | weakness | tests |
//! |---|---|---|
//! | 1 | a producer is retired between the look at it and the edge | here: `producers_that_retired_…`; unit: `a_producer_that_was_retired_before_its_consumer_came_…`, `random_graphs_…` |
//! | 2 | an advance of a ring gets lost | here: `the_smallest_rings_…`; unit: `no_advance_of_the_smallest_ring_is_lost_…` |
//! | 3 | a task completes before all its sub-tasks' conditions are known | `deferred.rs`, `every_block_waits_for_its_own_counter` and `every_lane_of_a_mixed_task_waits_for_its_own_counter` |
//! | 4 | a fan-out list is read after the notification | unit: `an_edge_that_is_reused_as_soon_as_its_consumer_is_notified_…`; loom: `every_edge_is_either_taken_…` |
//! | 5 | map entries of a slot's next task are freed | unit: `giving_back_a_retired_tasks_map_entries_…` |
//! | 6 | a full ready queue drops a task; a full pool drops edges | unit: `a_ready_queue_takes_every_task_slot_there_is`, `refuses_a_push_when_every_cell_is_in_use_…`; `error_matrix`: codes 4 and 6 |
//! | 7 | 16-bit sub-task counts, 32-bit sizes, six dimensions, 65 tensors | here: `the_largest_task_…`; unit: `the_largest_block_count_…`, `packed_outputs_beyond_4_gib_…`, `six_dimensions_…`; `bad_input`: `buffers_of_another_size_and_too_many_tensors_…` |
//! | 8 | the end of a run is told through plain variables | unit: `a_run_is_finished_when_the_total_is_known_…`; here: `a_result_is_whole_…` |
//! | 9 | a stall reports success; an empty graph takes the time of a stall | `hang`: all; `graphs`: `a_graph_without_tasks_ends_at_once` |
//! | 10 | a run that fails early poisons the executor | `register_and_run`: `a_first_run_that_fails_poisons_neither_…`; `bad_input`: `a_constructor_that_throws_…`; unit: `h8_a_run_that_fails_before_its_orchestration_…` |
//! | 11 | a C++ exception ends the process | `bad_input`: `an_exception_out_of_the_entry_…`, `…_out_of_a_kernel_…`, `a_kernel_whose_constructor_throws_…` |
//! | 12 | overlaps of views with other ranks and strides are missed | here: `views_of_any_rank_…`, `a_view_beyond_its_buffer_…`; unit: tests of `orchestrator::overlap` |
//! | 13 | kernels are kept by func id alone; the header is not written on early failure | `prepared_callables`: `h3_two_callables_with_other_kernels_…`; unit: `h8_a_run_that_fails_before_its_orchestration_leaves_its_code_in_the_header` |
//! | 14 | objects lie where their alignment does not allow | unit: `h14_the_executor_and_what_its_threads_share_are_aligned_…`, `tensors_payloads_and_outputs_are_aligned_…`; `graphs`: `records_need_no_more_than_the_alignment_of_words` |
//!
//! | §14.2 | weakness | tests |
//! |---|---|---|
//! | no bound | a wait that nothing ends: pushes, handshake, start, drain, joins | `hang`, `life`: all; unit: `silent_cores_…`; loom: `scheduler::meeting_point`; `spmd`: `tasks_that_start_together_are_neither_starved_…` |
//! | counts | a number of spins decides | `hang`: `a_graph_that_takes_longer_than_the_stall_limit_but_moves_is_no_stall`; here: `a_kernel_that_is_slower_…` |
//! | exit | a full pool ends the process | `graphs`: `output_memory_that_cannot_do_…`; `error_matrix`: codes 4 and 6; unit: `random_graphs_on_tiny_rings_…` |

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use host_runner::callable::KernelImage;
use host_runner::device::RingConfig;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Worker, WorkerConfig};
use protocol::CoreType;
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, SENTINEL, open, threads};

/// A worker with the smallest rings there are.
fn open_smallest() -> Worker {
    // As many edges as three pending tasks and the next one can need, however slow the tasks are.
    let rings = RingConfig { task_window: 4, heap_bytes: 1024, dep_pool: 16 };
    Worker::open(WorkerConfig::default().with_rings(rings)).unwrap()
}

fn kernels() -> Vec<KernelImage> {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(4, CoreType::Aiv, "append_box"));
    kernels.push(sources::kernel(5, CoreType::Aic, "count_block"));
    kernels.push(sources::kernel(6, CoreType::Aiv, "count_block"));
    kernels
}

fn with_entry(worker: Worker, entry: &str) -> (Worker, CallableHandle) {
    let handle = worker.register(&sources::callable("hazards", entry, kernels())).unwrap();
    (worker, handle)
}

/// Settings under which a wait for something that was lost is noticed soon.
fn impatient(aicpu_threads: u32) -> RunConfig {
    RunConfig { stall_timeout: Duration::from_secs(3), ..threads(aicpu_threads) }
}

/// Item 1.
#[test]
fn producers_that_retired_before_their_consumer_came_leave_rings_and_results_as_they_should_be() {
    let (worker, handle) = with_entry(open_smallest(), "stale_producers");
    for aicpu_threads in AICPU_THREADS {
        for block_dim in [1, 24] {
            let mut passed = Cells { input: vec![3], cells: vec![1], scalars: vec![3000] };
            let config = RunConfig { block_dim, ..impatient(aicpu_threads) };
            let report = passed.run(&worker, &handle, &config).unwrap();
            assert_eq!(report.tasks, 3000);
            let step = |state: u64, turn: u64| state.wrapping_mul(3).wrapping_add(3 + turn);
            assert_eq!(passed.cells, [(0..3000).fold(1, step)]);
        }
    }
}

/// Items 2 and 6, on several threads: three task slots, one output and four edges a ring.
#[test]
fn the_smallest_rings_there_are_carry_a_long_graph() {
    let worker = open_smallest();
    let callable = sources::callable("graphs", "nested_scopes", sources::cell_kernels());
    let handle = worker.register(&callable).unwrap();
    let (outer, inner) = (40_u64, 30_u64);
    let expected = (0..outer)
        .flat_map(|i| (0..inner).map(move |j| (i, j)))
        .fold(1_u64, |state, (i, j)| state.wrapping_mul(3).wrapping_add(5 + 100 * i + j));
    for aicpu_threads in AICPU_THREADS {
        let mut passed = Cells { cells: vec![1], scalars: vec![outer, inner], ..Cells::default() };
        let report = passed.run(&worker, &handle, &impatient(aicpu_threads)).unwrap();
        assert_eq!((report.tasks, &passed.cells), (1 + outer * (1 + 2 * inner), &vec![expected]));
    }
}

/// Item 7: 98,301 sub-tasks, on one thread and on four.
#[test]
fn the_largest_task_that_there_can_be_runs_every_block_on_every_lane() {
    let (worker, handle) = with_entry(open(), "largest_task");
    for aicpu_threads in [1, 4] {
        let counters: [AtomicU64; 2] = Default::default();
        let addresses = counters.each_ref().map(|each| each.as_ptr().expose_provenance() as u64);
        let scalars = addresses.to_vec();
        let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
        passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
        let blocks = 32767;
        let [count, sum] = counters.map(AtomicU64::into_inner);
        assert_eq!((count, sum), (3 * blocks, 3 * blocks * (blocks - 1) / 2));
    }
}

/// Item 8: whoever sees the end of a run sees all of it. Runs of few, short tasks end at the moment
/// at which the orchestration does, in either order.
#[test]
fn a_result_is_whole_when_the_run_returns_however_short_it_is() {
    let worker = open();
    let callable = sources::callable("graphs", "chain", sources::cell_kernels());
    let handle = worker.register(&callable).unwrap();
    for aicpu_threads in AICPU_THREADS {
        for length in (0..4).cycle().take(200) {
            let mut passed = Cells { input: vec![2], cells: vec![7], scalars: vec![length] };
            let report = passed.run(&worker, &handle, &impatient(aicpu_threads)).unwrap();
            let expected = (0..length).fold(7, |state, step| 3 * state + 2 + step);
            assert_eq!((report.tasks, &passed.cells), (length, &vec![expected]));
        }
    }
}

/// The elements of a box in the buffer: shape and strides by dimension, from `start`.
fn change(cells: &mut [u64], turn: &mut u64, start: usize, dimensions: &[(usize, usize)]) {
    *turn += 1;
    let count: usize = dimensions.iter().map(|(shape, _)| shape).product();
    for flat in 0..count {
        let (mut rest, mut at) = (flat, start);
        for (shape, stride) in dimensions.iter().rev() {
            at += rest % shape * stride;
            rest /= shape;
        }
        cells[at] = cells[at].wrapping_mul(3).wrapping_add(*turn);
    }
}

/// Item 12: every pair of changes that have an element in common is done in order, whatever the
/// ranks and shapes through which they see it.
#[test]
fn views_of_any_rank_and_stride_keep_their_order() {
    let mut expected = vec![1; 64];
    let mut turn = 0;
    for i in 0..4_usize {
        let mut next =
            |start, dimensions: &[_]| change(&mut expected, &mut turn, start, dimensions);
        next(16 * i, &[(16, 1)]);
        next(2 * i, &[(8, 8), (2, 1)]);
        next(i % 2 * 16 + 4, &[(2, 16), (8, 1)]);
        next(4 * i, &[(4, 16), (1, 4), (4, 1)]);
        next((3 - i) * 16, &[(1, 16), (16, 1)]);
        next(0, &[(16, 1)]);
        next(0, &[(8, 8), (8, 1)]);
        next(i % 2 * 8 + 2 * i + 4, &[(2, 8), (8, 1)]);
    }
    let (worker, handle) = with_entry(open(), "views_of_one_buffer");
    for aicpu_threads in AICPU_THREADS {
        for _ in 0..3 {
            let mut passed = Cells { cells: vec![1; 64], ..Cells::default() };
            let report = passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
            assert_eq!((report.tasks, &passed.cells), (32, &expected));
        }
    }
}

/// A view may reach beyond its buffer, as those of sources written for the reference do at a ragged
/// edge: what is in the buffer is nobody's business but the kernel's. This kernel goes along the
/// first dimension, of which the view has one.
#[test]
fn a_view_beyond_its_buffer_is_no_error_as_long_as_no_kernel_goes_there() {
    let (worker, handle) = with_entry(open(), "ragged_view");
    for aicpu_threads in [1, 3] {
        let mut passed = Cells { cells: vec![SENTINEL; 10], ..Cells::default() };
        passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
        let expected = [[SENTINEL; 8].as_slice(), &[7, SENTINEL]].concat();
        assert_eq!(passed.cells, expected);
    }
}

/// §14.2, counts: a kernel that takes longer than any number of idle polls is not a stall, and the
/// rings being full meanwhile is no deadlock.
#[test]
fn a_kernel_that_is_slower_than_a_million_polls_is_waited_for_in_full_rings_too() {
    let worker = open_smallest();
    let mut kernels = sources::cell_kernels();
    kernels[2] = sources::kernel(2, CoreType::Aiv, "append_slowly");
    let handle =
        worker.register(&sources::callable("hazards", "stale_producers", kernels)).unwrap();
    for aicpu_threads in [1, 4] {
        let mut passed = Cells { input: vec![3], cells: vec![1], scalars: vec![10] };
        let start = Instant::now();
        passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
        assert!(start.elapsed() > Duration::from_millis(300), "ten kernels of 30 ms");
        assert_eq!(passed.cells, [(0..10).fold(1, |state, turn| 3 * state + 3 + turn)]);
    }
}
