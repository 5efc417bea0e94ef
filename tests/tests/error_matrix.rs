//! Every way in which a run can fail (spec trb §12): the code, the text with cause and remedy, the
//! first of two errors, outputs as they were, and a device that is ready.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use host_runner::callable::KernelImage;
use host_runner::device::RingConfig;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Worker, WorkerConfig};
use protocol::{CoreType, StatusCode};
use tests::sources;
use tests::workers::{
    AICPU_THREADS, Cells, SENTINEL, assert_fault, assert_works, fault, open, open_with_rings,
    threads,
};

/// Where each code is tested: a file of the repository, and how the name of a test in it begins.
const TESTED: &[(StatusCode, &str, &str)] = {
    use StatusCode as Code;
    const GRAPHS: &str = "tests/tests/graphs.rs";
    const BAD_INPUT: &str = "tests/tests/bad_input.rs";
    const HERE: &str = "tests/tests/error_matrix.rs";
    const SLOTS: &str = "aicpu-executor/src/orch_so_table/tests.rs";
    const GRAPH_RUNS: &str = "aicpu-executor/src/executor/graph_run/tests/refusals.rs";
    const EXECUTOR: &str = "aicpu-executor/src/executor/tests.rs";
    const OPERATION: &str = "aicpu-executor/src/executor/operation/tests.rs";
    const SIM: &str = "host-runner/src/device/sim/tests.rs";
    const UNLOADING: &str = "host-runner/src/device/sim/tests/unloading.rs";
    const HANG: &str = "tests/tests/hang.rs";
    const DEFERRED: &str = "tests/tests/deferred/faults.rs";
    &[
        (Code::ScopeDeadlock, GRAPHS, "a_scope_that_is_larger_than_its_ring_is_reported_at_once"),
        (Code::HeapRingDeadlock, GRAPHS, "output_memory_that_cannot_do_is_reported_at_once"),
        (Code::FlowControlDeadlock, HERE, "waits_behind_a_kernel_that_hangs_name_it"),
        (Code::DepPoolOverflow, HERE, "full_pools_are_reported_at_once_with_sizes_that_do"),
        (Code::InvalidArgs, BAD_INPUT, "arguments_of_a_task_are_checked"),
        (Code::DependencyOverflow, HERE, "full_pools_are_reported_at_once_with_sizes_that_do"),
        (Code::RequireSyncStartInvalid, BAD_INPUT, "arguments_of_a_task_are_checked"),
        (Code::TensorWaitTimeout, HERE, "waits_behind_a_kernel_that_hangs_name_it"),
        (Code::ExplicitFatal, GRAPHS, "after_a_fatal_report_every_call_is_without_effect"),
        (Code::SchedulerTimeout, HANG, "a_kernel_that_does_not_return_costs_the_device"),
        (Code::AsyncCompletionInvalid, DEFERRED, "conditions_that_make_no_sense_end_the_run"),
        (Code::AsyncWaitOverflow, DEFERRED, "a_full_list_that_never_empties_is_an_overflow"),
        (Code::AsyncRegistrationFailed, DEFERRED, "an_error_of_the_kernel_ends_the_run"),
        (Code::LoadFailed, SLOTS, "a_refused_image_leaves_what_is_loaded"),
        (Code::EntryMissing, SLOTS, "a_refused_image_leaves_what_is_loaded"),
        (Code::ArgCountMismatch, BAD_INPUT, "too_few_arguments_are_counted"),
        (Code::KernelMissing, BAD_INPUT, "a_func_id_without_kernel_is_named"),
        (Code::EntryException, BAD_INPUT, "an_exception_out_of_the_entry_arrives_with_its_text"),
        (Code::CallableIdInvalid, SIM, "a_run_without_a_callable_is_a_fault"),
        (Code::CallableNotLoaded, SLOTS, "a_refused_image_leaves_what_is_loaded"),
        (Code::HandshakeTimeout, EXECUTOR, "silent_cores_and_impossible_thread_counts_are_named"),
        (Code::ThreadCountInvalid, EXECUTOR, "silent_cores_and_impossible_thread_counts_are_named"),
        (Code::RegionTooSmall, EXECUTOR, "h8_a_run_that_fails_before_its_orchestration_leaves_its"),
        (Code::KernelException, BAD_INPUT, "an_exception_out_of_a_kernel_arrives_with_its_text"),
        (Code::StaleCallable, SLOTS, "a_stale_handle_neither_runs_nor_unloads_the_code"),
        (Code::TooManyCores, EXECUTOR, "silent_cores_and_impossible_thread_counts_are_named"),
        (
            Code::ConstructorTimeout,
            OPERATION,
            "a_constructor_that_hangs_in_a_load_is_named_and_given_up_on_and_no_run_hears_of_it",
        ),
        (Code::DestructorTimeout, UNLOADING, "a_destructor_that_hangs_at_the_end_of_a_run"),
        (Code::CallableBusy, SLOTS, "a_reload_while_the_old_code_runs_is_refused"),
        (Code::CallableQuarantined, SLOTS, "a_constructor_that_is_given_up_on_closes_the_slot"),
        (Code::OperationUnknown, OPERATION, "an_operation_that_is_not_known_is_a_fault"),
        (
            Code::GraphInvalid,
            GRAPH_RUNS,
            "an_image_that_is_damaged_is_refused_before_anything_runs",
        ),
    ]
};

#[test]
fn every_code_has_a_test_that_is_there_and_names_it() {
    for code in StatusCode::ALL.iter().filter(|code| !code.is_success()) {
        let rows: Vec<_> = TESTED.iter().filter(|(tested, ..)| tested == code).collect();
        assert_eq!(rows.len(), 1, "{code:?}");
    }
    for (code, file, test) in TESTED {
        let text = fs::read_to_string(sources::repository().join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}")), "{file} has no {test}");
        assert!(text.contains(&format!("{code:?}")), "{file} does not name {code:?}");
    }
}

fn kernels() -> Vec<KernelImage> {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(5, CoreType::Aiv, "throws"));
    kernels.push(sources::kernel(6, CoreType::Aiv, "wait_for_flag"));
    kernels
}

fn register(worker: &Worker, entry: &str) -> CallableHandle {
    worker.register(&sources::callable("errors", entry, kernels())).unwrap()
}

/// The wait that stalls is the orchestrator's, and where nothing moves a thread is called that only
/// schedules: its wait may be over first. Either names the kernel.
#[test]
fn waits_behind_a_kernel_that_hangs_name_it() {
    let cases = [
        ("slots_behind_a_hanging_task", StatusCode::FlowControlDeadlock, "a task slot"),
        ("outputs_behind_a_hanging_task", StatusCode::HeapRingDeadlock, "output memory"),
        ("reads_from_a_hanging_task", StatusCode::TensorWaitTimeout, "the task that writes it"),
        ("writes_to_a_hanging_task", StatusCode::TensorWaitTimeout, "the tasks that use it"),
    ];
    let worker = open_with_rings(4, 1024);
    for (entry, code, what) in cases {
        let handle = register(&worker, entry);
        for aicpu_threads in [1, 3] {
            let flag: &AtomicU32 = Box::leak(Box::default());
            let scalars = vec![flag.as_ptr().expose_provenance() as u64];
            let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
            let config = RunConfig {
                stall_timeout: Duration::from_millis(300),
                grace: Duration::from_secs(20),
                ..threads(aicpu_threads)
            };
            let fault = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(900));
                    flag.store(1, Ordering::Release);
                });
                fault(passed.run(&worker, &handle, &config))
            });
            let by_orchestrator = fault.code == Some(code) && fault.text.contains(what);
            let by_scheduler = fault.code == Some(StatusCode::SchedulerTimeout);
            assert!(by_orchestrator || by_scheduler, "{entry}: {fault}");
            for part in ["func_id 6", "core ", "for 300 ms"] {
                assert!(fault.text.contains(part), "{entry}: {part:?} is missing in: {fault}");
            }
            // And this device goes on, now that the flag is set.
            if code != StatusCode::TensorWaitTimeout {
                passed.run(&worker, &handle, &threads(aicpu_threads)).unwrap();
            }
        }
    }
}

#[test]
fn full_pools_are_reported_at_once_with_sizes_that_do() {
    // 65536 entries of the tensor map come with each window up to 16384.
    let cases = [
        (
            "crowded_map",
            4097,
            RingConfig { task_window: 8192, ..RingConfig::default() },
            (StatusCode::DependencyOverflow, "65536 written regions", "TASK_WINDOW to 32768"),
            RingConfig { task_window: 32768, ..RingConfig::default() },
        ),
        (
            "deep_scopes",
            6,
            RingConfig { dep_pool: 4, heap_bytes: 1024, task_window: 4 },
            (StatusCode::ScopeDeadlock, "ring 3: open scopes hold all 3 task", "WINDOW to 8"),
            RingConfig { dep_pool: 8, heap_bytes: 1024, task_window: 8 },
        ),
    ];
    for (entry, scalar, small, (code, cause, remedy), large) in cases {
        for aicpu_threads in AICPU_THREADS {
            let run = |rings| {
                let worker = Worker::open(WorkerConfig::default().with_rings(rings)).unwrap();
                let handle = register(&worker, entry);
                let (cells, scalars) = (vec![SENTINEL], vec![scalar]);
                let mut passed = Cells { cells, scalars, ..Cells::default() };
                let start = Instant::now();
                let result = passed.run(&worker, &handle, &threads(aicpu_threads));
                assert!(start.elapsed() < Duration::from_secs(10), "{entry}");
                result
            };
            assert_fault(run(small), code, &[cause, remedy, "Close a scope earlier"]);
            run(large).unwrap();
        }
    }
    let worker = open_with_pool(4);
    let callable = sources::callable("graphs", "fan_in", sources::cell_kernels());
    let handle = worker.register(&callable).unwrap();
    for aicpu_threads in AICPU_THREADS {
        let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
        let start = Instant::now();
        let result = passed.run(&worker, &handle, &threads(aicpu_threads));
        let parts = ["ring 0: all 4 dependency edges", "Close a scope", "PTO2_RING_DEP_POOL to "];
        assert_fault(result, StatusCode::DepPoolOverflow, &parts);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

fn open_with_pool(dep_pool: u64) -> Worker {
    let rings = RingConfig { dep_pool, ..RingConfig::default() };
    Worker::open(WorkerConfig::default().with_rings(rings)).unwrap()
}

#[test]
fn of_several_errors_in_a_run_the_first_one_counts() {
    let worker = open();
    for (entry, code, first) in [
        ("kernel_error_then_fatal", StatusCode::KernelException, "odd tile"),
        ("fatal_then_kernel_error", StatusCode::ExplicitFatal, "the first error"),
        ("three_errors", StatusCode::InvalidArgs, "a tensor was added after a scalar"),
    ] {
        let handle = register(&worker, entry);
        for aicpu_threads in AICPU_THREADS {
            let mut passed = Cells { cells: vec![SENTINEL; 3], ..Cells::default() };
            let result = passed.run(&worker, &handle, &threads(aicpu_threads));
            assert_fault(result, code, &[first]);
            assert_works(&worker, &threads(aicpu_threads));
        }
    }
}
