//! Kernels and orchestrations that do not return: the run ends in bounded time with an error that
//! says what hangs, and the worker goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::time::{Duration, Instant};

use host_runner::callable::Callable;
use host_runner::device::{DeviceUsage, LostCause};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, RegisterError, Worker, WorkerConfig};
use protocol::{CoreType, StatusCode};
use tests::child;
use tests::flag::Flag;
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_fault, assert_works, open, threads};

/// Settings with which everything here takes well under a second.
fn short(aicpu_threads: u32) -> RunConfig {
    RunConfig {
        stall_timeout: Duration::from_millis(200),
        grace: Duration::from_millis(300),
        ..threads(aicpu_threads)
    }
}

/// No run here may take longer; the timeout of the run itself is 30 seconds.
const BOUND: Duration = Duration::from_secs(8);

fn callable(entry: &str) -> Callable {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "wait_for_flag"));
    sources::callable("faults", entry, kernels)
}

/// Runs with the flag as scalar; the output is untouched if it fails.
fn run(
    worker: &Worker,
    handle: &CallableHandle,
    flag: &Flag,
    config: &RunConfig,
) -> Result<u64, RunError> {
    let scalars = vec![flag.address()];
    let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells[0])
}

#[test]
fn a_kernel_that_does_not_return_costs_the_device_and_not_the_worker() {
    let worker = open();
    let other = worker.register(&callable("spoils")).unwrap();
    let handle = worker.register(&callable("waits_for_flag")).unwrap();
    for aicpu_threads in [1, 3] {
        let flag = Flag::new();
        let start = Instant::now();
        let error = run(&worker, &handle, &flag, &short(aicpu_threads)).unwrap_err();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        let RunError::DeviceLost(lost) = &error else { panic!("{error:?}") };
        let LostCause::Kernel { core, func_id: Some(func_id), .. } = lost.cause else {
            panic!("{lost:?}")
        };
        assert_eq!(func_id.index(), 6);
        // With 24 clusters, cores 0 to 23 are cube cores.
        assert!((24..72).contains(&core), "{core}");
        let fault = lost.fault.as_ref().unwrap();
        assert_eq!(fault.code, StatusCode::SchedulerTimeout.code());
        let text = error.to_string();
        let core = format!("core {core}");
        for part in ["kernel of func_id 6", &core, "no progress for 200 ms", "endless loop"] {
            assert!(text.contains(part), "{part:?} is missing in: {text}");
        }
        // A fresh device takes its place while the kernel of the old one still runs.
        assert_works(&worker, &threads(aicpu_threads));
        assert_eq!(run(&worker, &other, &flag, &threads(aicpu_threads)).unwrap(), 666);
        // And the callable that hung is as good as the flag it waits for.
        flag.set();
        assert_eq!(run(&worker, &handle, &flag, &threads(aicpu_threads)).unwrap(), 1);
    }
}

#[test]
fn a_kernel_that_returns_late_is_a_stall_and_the_device_is_kept() {
    let worker = open();
    let handle = worker.register(&callable("waits_for_flag")).unwrap();
    for aicpu_threads in [1, 2, 4] {
        let flag = Flag::new();
        let loads = worker.counters().loads;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(600));
                flag.set();
            });
            let grace = Duration::from_secs(20);
            let config = RunConfig { grace, ..short(aicpu_threads) };
            let result = worker_run(&worker, &handle, &flag, &config);
            let parts = ["no progress for 200 ms", "core ", "func_id 6"];
            assert_fault(result, StatusCode::SchedulerTimeout, &parts);
        });
        assert_eq!(run(&worker, &handle, &flag, &threads(aicpu_threads)).unwrap(), 1);
        // Loaded in the first run of all, and not again.
        assert_eq!(worker.counters().loads, loads.max(1));
        assert_works(&worker, &threads(aicpu_threads));
    }
}

/// As [`run`], with the report.
fn worker_run(
    worker: &Worker,
    handle: &CallableHandle,
    flag: &Flag,
    config: &RunConfig,
) -> Result<host_runner::run::RunReport, RunError> {
    let scalars = vec![flag.address()];
    Cells { cells: vec![SENTINEL], scalars, ..Cells::default() }.run(worker, handle, config)
}

#[test]
fn an_orchestration_that_does_not_return_costs_the_device_and_not_the_worker() {
    let worker = open();
    let handle = worker.register(&callable("spins")).unwrap();
    for aicpu_threads in [1, 3] {
        let flag = Flag::new();
        let start = Instant::now();
        // With one thread nobody but the orchestration could notice a stall: the limit of the
        // whole run ends it.
        let timeout = Duration::from_millis(400);
        let config = RunConfig { timeout, ..short(aicpu_threads) };
        let error = run(&worker, &handle, &flag, &config).unwrap_err();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        let RunError::DeviceLost(lost) = &error else { panic!("{error:?}") };
        assert_eq!(lost.cause, LostCause::Orchestration);
        let fault = lost.fault.as_ref().unwrap();
        assert_eq!(fault.code, StatusCode::SchedulerTimeout.code());
        let text = error.to_string();
        assert!(text.contains("orchestration has not returned"), "{text}");
        assert_works(&worker, &threads(aicpu_threads));
        flag.set();
        assert_eq!(run(&worker, &handle, &flag, &threads(aicpu_threads)).unwrap(), 666);
    }
}

#[test]
fn a_graph_that_takes_longer_than_the_stall_limit_but_moves_is_no_stall() {
    let worker = open();
    let mut kernels = sources::cell_kernels();
    kernels[2] = sources::kernel(2, CoreType::Aiv, "append_slowly");
    let handle = worker.register(&sources::callable("graphs", "chain", kernels)).unwrap();
    // Each task sleeps for 30 ms.
    let stall_timeout = Duration::from_millis(400);
    for aicpu_threads in [1, 3] {
        let mut passed = Cells { input: vec![1], cells: vec![0], scalars: vec![20] };
        let config = RunConfig { stall_timeout, ..threads(aicpu_threads) };
        let report = passed.run(&worker, &handle, &config).unwrap();
        assert!(report.elapsed > stall_timeout, "{:?}", report.elapsed);
        assert_eq!(passed.cells, [(0..20).fold(0, |state, step| 3 * state + 1 + step)]);
    }
}

#[test]
fn a_kernel_whose_constructor_does_not_return_is_refused_and_everything_else_goes_on() {
    let limit = Duration::from_millis(200);
    let worker = Worker::open(WorkerConfig::default().with_unload_limit(limit)).unwrap();
    let memory = worker.allocate(64).unwrap();
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "never_loaded"));
    let stuck = sources::callable("faults", "spoils", kernels);
    for _ in 0..2 {
        let start = Instant::now();
        match worker.register(&stuck).unwrap_err() {
            RegisterError::Kernel { func_id, source, .. } => {
                assert_eq!(func_id.index(), 6);
                let text = source.to_string();
                assert!(text.contains("constructors have not returned within 200 ms"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < BOUND);
    }
    assert_works(&worker, &threads(3));
    worker.free(memory).expect("the device was not lost");
    assert_eq!(worker.usage(), DeviceUsage::default());
}

/// The system's loader calls destructors under a lock of the whole process, which even its end wants;
/// so in one of its own, which breaks off.
#[test]
fn a_kernel_whose_destructor_does_not_return_is_given_up_and_the_id_is_free() {
    const TEST: &str = "a_kernel_whose_destructor_does_not_return_is_given_up_and_the_id_is_free";
    const SAID: &str = "unregistered, and another one has run";
    if !child::is_child(TEST) {
        // Compiled once, here.
        sources::kernel(6, CoreType::Aiv, "never_unloaded");
        let output = child::command(TEST).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).contains(SAID);
        assert!(said, "{output:?}");
        return;
    }
    let limit = Duration::from_millis(200);
    let worker = Worker::open(WorkerConfig::default().with_unload_limit(limit)).unwrap();
    let other = worker.register(&callable("spoils")).unwrap();
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "never_unloaded"));
    let stuck = worker.register(&sources::callable("faults", "spoils", kernels)).unwrap();
    let start = Instant::now();
    worker.unregister(&stuck).unwrap();
    assert!(start.elapsed() < BOUND);
    let mut passed = Cells { cells: vec![SENTINEL; 8], ..Cells::default() };
    passed.run(&worker, &other, &threads(3)).unwrap();
    println!("{SAID}");
    std::process::abort();
}
