//! An exception out of an orchestration is reported with the functions that it came through.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::run::RunFault;
use host_runner::worker::Worker;
use protocol::StatusCode;
use tests::sources;
use tests::workers::{AICPU_THREADS, Cells, SENTINEL, fault, open, threads};

/// Runs an entry of `faults.cpp`; the fault that it ends with.
fn fault_of(worker: &Worker, entry: &str, aicpu_threads: u32) -> RunFault {
    let callable = sources::callable("faults", entry, sources::cell_kernels());
    let handle = worker.register(&callable).unwrap();
    let mut passed = Cells { cells: vec![SENTINEL; 8], ..Cells::default() };
    let fault = fault(passed.run(worker, &handle, &threads(aicpu_threads)));
    worker.unregister(&handle).unwrap();
    fault
}

/// What follows in the text of the fault where functions are named.
#[track_caller]
fn check(worker: &Worker, entry: &str, expected: &str) {
    for aicpu_threads in AICPU_THREADS {
        let fault = fault_of(worker, entry, aicpu_threads);
        assert_eq!(fault.code, Some(StatusCode::EntryException), "{fault}");
        let functions = fault.text.split_once(", thrown in ").map(|(_, functions)| functions);
        assert_eq!(functions, Some(expected), "{fault}");
    }
}

#[test]
fn the_functions_are_named_from_the_innermost_to_the_entry() {
    let worker = open();
    check(
        &worker,
        "throws_deep",
        "divide_tile(unsigned long), called by make_tiles(unsigned long), called by throws_deep",
    );
    check(&worker, "throws_error", "throws_error");
    // Of a deep recursion, the innermost ones.
    check(&worker, "throws_deepest", &["descend(unsigned long)"; 4].join(", called by "));
}

#[test]
fn a_failed_assertion_names_who_asserted_and_not_the_helper() {
    let worker = open();
    let expected = "second_output(TaskOutputTensors const&), called by asserts_deep";
    check(&worker, "asserts_deep", expected);
    let fault = fault_of(&worker, "asserts_deep", 2);
    assert!(fault.text.contains("assertion failed: index < output_count_"), "{fault}");
}

#[test]
fn a_fault_with_another_cause_gets_no_functions_of_an_exception_before_or_after() {
    let worker = open();
    check(&worker, "throws_error", "throws_error");
    // The exception follows from the fault.
    let first = fault_of(&worker, "asserts_after_fatal", 3);
    assert_eq!(first.code, Some(StatusCode::ExplicitFatal));
    // The exception is of an earlier run.
    let second = fault_of(&worker, "fatal", 3);
    for fault in [first, second] {
        assert!(!fault.text.contains("thrown in"), "{fault}");
    }
    // One that is caught inside is nobody's business.
    check(&worker, "throws_after_catching", "throws_after_catching");
}
