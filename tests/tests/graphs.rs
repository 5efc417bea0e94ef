//! Graphs of plain tasks on every number of AICPU threads. Each result is computed here by other
//! means; the kernels are chosen so that a wrong order or a missing wait changes it.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::time::{Duration, Instant};

use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Worker};
use protocol::StatusCode;
use tests::sources;
use tests::workers::{
    AICPU_THREADS, Cells, FORK_JOIN_TASKS, SENTINEL, assert_fault, assert_works, fault, fork_join,
    open, open_with_rings, threads,
};

/// A worker with one graph of `graphs.cpp` on it.
fn with_graph(worker: Worker, entry: &str) -> (Worker, CallableHandle) {
    let callable = sources::callable("graphs", entry, sources::cell_kernels());
    let handle = worker.register(&callable).unwrap();
    (worker, handle)
}

/// Runs a graph on each number of threads, several times, and compares what it leaves.
#[track_caller]
fn check(worker: Worker, entry: &str, passed: &Cells, expected: &[u64], tasks: u64) {
    let (worker, handle) = with_graph(worker, entry);
    for aicpu_threads in AICPU_THREADS {
        for block_dim in [24, 2] {
            let mut passed = passed.clone();
            let config = RunConfig { block_dim, ..threads(aicpu_threads) };
            let report = passed.run(&worker, &handle, &config).unwrap();
            assert_eq!(passed.cells, expected, "{aicpu_threads} threads, block_dim {block_dim}");
            assert_eq!(report.tasks, tasks);
        }
    }
    assert_eq!(worker.counters().loads, 1);
}

/// What `append` leaves after steps of these inputs and constants.
fn appended(state: u64, steps: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    let step = |state: u64, (input, constant): (u64, u64)| {
        state.wrapping_mul(3).wrapping_add(input).wrapping_add(constant)
    };
    steps.into_iter().fold(state, step)
}

#[test]
fn a_thousand_independent_tasks_all_run() {
    let passed = Cells { cells: vec![SENTINEL; 1000], ..Cells::default() };
    let expected: Vec<u64> = (0..1000).map(|cell| 7 * cell + 1).collect();
    check(open(), "independent", &passed, &expected, 1000);
}

#[test]
fn a_chain_of_a_thousand_tasks_runs_in_order() {
    let passed = Cells { input: vec![4, 11], cells: vec![5, SENTINEL], scalars: vec![1000] };
    let expected = [(5, 4), (SENTINEL, 11)]
        .map(|(state, input)| appended(state, (0..1000).map(|step| (input, step))));
    check(open(), "chain", &passed, &expected, 1000);
}

#[test]
fn branches_wait_for_their_source_and_are_joined_when_all_are_done() {
    let input: Vec<u64> = (0..40).map(|cell| cell * cell).collect();
    let expected = fork_join(&input, 3);
    let passed = Cells { input, cells: vec![SENTINEL; 40], scalars: vec![3] };
    check(open(), "fork_join", &passed, &expected, FORK_JOIN_TASKS);
}

#[test]
fn a_task_waits_for_a_hundred_producers() {
    let passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
    let expected: u64 = (0..100).map(|cell| (cell + 1) * (1000 + cell * cell)).sum();
    check(open(), "fan_in", &passed, &[expected], 102);
}

/// State after the loops of `nested_scopes`.
fn nested(cells: usize, outer: u64, inner: u64) -> Vec<u64> {
    let cell = |cell: u64| {
        let turns = (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j)));
        appended(1, turns.map(|(i, j)| (5 + cell + 100 * i + cell, j)))
    };
    (0..cells as u64).map(cell).collect()
}

#[test]
fn scopes_three_deep_keep_what_the_inner_ones_use() {
    let passed = Cells { cells: vec![1; 3], scalars: vec![4, 5], ..Cells::default() };
    check(open(), "nested_scopes", &passed, &nested(3, 4, 5), 1 + 4 * (1 + 2 * 5));
}

#[test]
fn rings_of_eight_slots_wrap_many_times() {
    let passed = Cells { cells: vec![1; 3], scalars: vec![30, 25], ..Cells::default() };
    let expected = nested(3, 30, 25);
    let tasks = 1 + 30 * (1 + 2 * 25);
    check(open_with_rings(8, 0), "nested_scopes", &passed, &expected, tasks);
    // Here output memory is what runs short: an output takes 1024 bytes.
    check(open_with_rings(64, 4096), "nested_scopes", &passed, &expected, tasks);
}

#[test]
fn a_scope_that_is_larger_than_its_ring_is_reported_at_once_with_what_to_do() {
    let (worker, handle) = with_graph(open_with_rings(8, 0), "crowded_scope");
    for aicpu_threads in AICPU_THREADS {
        let mut passed = Cells { cells: vec![SENTINEL], scalars: vec![20, 1], ..Cells::default() };
        let start = Instant::now();
        let result = passed.run(&worker, &handle, &threads(aicpu_threads));
        let parts =
            ["hold all 7 task slots", "Close a scope earlier", "PTO2_RING_TASK_WINDOW to 16"];
        assert_fault(result, StatusCode::ScopeDeadlock, &parts);
        assert!(start.elapsed() < Duration::from_secs(5), "no need to wait for a certain deadlock");
        // The same graph fits with six tasks beside the first.
        passed.scalars[0] = 6;
        passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
        assert_eq!(passed.cells, [1]);
    }
}

#[test]
fn output_memory_that_cannot_do_is_reported_at_once_with_what_to_do() {
    let (worker, handle) = with_graph(open_with_rings(64, 4096), "crowded_scope");
    for aicpu_threads in AICPU_THREADS {
        // Five outputs of 1024 bytes, then one of 8192, where a ring has 4096.
        for (tasks, cells, advice, remedy) in [
            (5, 128, "Close a scope earlier", "PTO2_RING_HEAP to 8192"),
            (1, 1024, "Give it smaller outputs", "PTO2_RING_HEAP to 8192"),
        ] {
            let scalars = vec![tasks, cells];
            let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
            let start = Instant::now();
            let result = passed.run(&worker, &handle, &threads(aicpu_threads));
            assert_fault(result, StatusCode::HeapRingDeadlock, &[advice, remedy]);
            assert!(start.elapsed() < Duration::from_secs(5));
        }
        let scalars = vec![4, 128];
        let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
        passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
        assert_eq!(passed.cells, [1]);
    }
}

#[test]
fn a_graph_without_tasks_ends_at_once() {
    for entry in ["empty", "empty_scopes"] {
        let (worker, handle) = with_graph(open(), entry);
        for aicpu_threads in AICPU_THREADS {
            let start = Instant::now();
            for _ in 0..10 {
                let config = threads(aicpu_threads);
                let report = Cells::default().run(&worker, &handle, &config).unwrap();
                assert_eq!(report.tasks, 0);
            }
            assert!(start.elapsed() < Duration::from_secs(2), "ten runs of nothing");
        }
    }
}

#[test]
fn in_a_manual_scope_only_explicit_dependencies_order_tasks() {
    let passed = Cells { input: vec![2], cells: vec![1], scalars: vec![200] };
    let expected = appended(1, (0..200).map(|step| (2, step)));
    check(open(), "manual_chain", &passed, &[expected], 200);
}

#[test]
fn explicit_dependencies_hold_in_automatic_scopes_too() {
    let passed = Cells { cells: vec![SENTINEL; 3], ..Cells::default() };
    check(open(), "added_dependencies", &passed, &[10, 20, 30], 3);
}

#[test]
fn single_elements_are_read_and_written_in_order_with_tasks() {
    let passed = Cells { input: vec![8, 9, 10], cells: vec![SENTINEL; 9], scalars: Vec::new() };
    let minus_two = u64::MAX - 1;
    let expected = [10, 53, 7, 14, 77, 3 * 14 + 77, 3 * 14 + 77, 300, minus_two];
    check(open(), "elements", &passed, &expected, 5);
}

#[test]
fn records_need_no_more_than_the_alignment_of_words() {
    let passed = Cells { input: vec![8, 9], cells: vec![SENTINEL; 2], scalars: Vec::new() };
    check(open(), "shifted_records", &passed, &[25, 27], 2);
}

#[test]
fn allocated_tensors_outlive_the_scopes_that_add_to_them() {
    let passed = Cells { cells: vec![SENTINEL; 5], ..Cells::default() };
    let room = |cell: u64, constant: u64| appended(1, (0..20).map(|i| (i + cell, constant)));
    let expected: Vec<u64> =
        (0..5).map(|cell| (0..3).map(|tensor| room(cell, tensor)).sum()).collect();
    check(open(), "accumulators", &passed, &expected, 1 + 20 * 4 + 2);
}

#[test]
fn after_a_fatal_report_every_call_is_without_effect() {
    let (worker, handle) = with_graph(open(), "explicit_fatal");
    for aicpu_threads in AICPU_THREADS {
        let effects = Box::new(std::sync::atomic::AtomicU64::new(0));
        let address = effects.as_ptr().expose_provenance() as u64;
        let mut passed =
            Cells { cells: vec![SENTINEL], scalars: vec![address], ..Cells::default() };
        let result = passed.run(&worker, &handle, &threads(aicpu_threads));
        let fault = fault(result);
        assert_eq!((fault.code, fault.status), (Some(StatusCode::ExplicitFatal), -9));
        assert!(fault.text.contains("tile 7 of the left is odd"), "{fault}");
        assert_eq!(fault.reference_message(), "run_prepared failed with code -9");
        assert_eq!(effects.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_works(&worker, &threads(aicpu_threads));
    }
}
