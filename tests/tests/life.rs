//! The life of a loaded orchestration: constructors and destructors that do not return, unloading
//! while its code runs, ids that are used again (hostile classes 32 and 33).

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::time::{Duration, Instant};

use aicpu_executor::{ForeignFunction, RunningCall};
use host_runner::device::{DeviceError, DeviceLost, LostCause};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, RegisterError, UnregisterError, Worker, WorkerConfig};
use protocol::StatusCode;
use tests::life::{Life, go_on, wait_here};
use tests::workers::{Cells, SENTINEL, assert_works, threads};

/// A worker that gives constructors and destructors 300 ms.
fn open() -> Worker {
    let limit = Duration::from_millis(300);
    Worker::open(WorkerConfig::default().with_unload_limit(limit)).unwrap()
}

/// Settings with which everything here takes well under a second.
fn short(aicpu_threads: u32) -> RunConfig {
    RunConfig {
        stall_timeout: Duration::from_millis(200),
        timeout: Duration::from_millis(400),
        grace: Duration::from_millis(300),
        ..threads(aicpu_threads)
    }
}

/// No step here may take longer.
const BOUND: Duration = Duration::from_secs(8);

fn run(worker: &Worker, handle: &CallableHandle, config: &RunConfig) -> Result<u64, RunError> {
    let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells[0])
}

/// The function in which the device was lost, and the whole message.
#[track_caller]
fn hanging_function(lost: &DeviceLost) -> (RunningCall, String) {
    let LostCause::Function(call) = &lost.cause else { panic!("{lost:?}") };
    ((**call).clone(), lost.to_string())
}

/// How the device was lost to a load.
#[track_caller]
fn lost_to_load(error: RegisterError) -> DeviceLost {
    match error {
        RegisterError::Load { source: DeviceError::Lost(lost), .. } => lost,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[track_caller]
fn assert_names_constructor(lost: &DeviceLost, id: usize) {
    let (call, text) = hanging_function(lost);
    let ForeignFunction::Constructor { number, count } = call.function else { panic!("{call:?}") };
    assert_eq!(call.callable.index(), id);
    assert!(call.label.is_some_and(|label| label.build_id.is_some()), "{call:?}");
    let named = format!("constructor {number} of {count} of callable {id} (build-id ");
    assert_contains(&text, &[&named, "has not returned for", "endless loop"]);
}

#[test]
fn a_constructor_that_does_not_return_is_named_and_costs_the_device_but_not_the_worker() {
    let (worker, life, neighbour) = (open(), Life::new(), Life::new());
    let other = worker.register(&neighbour.callable()).unwrap();
    assert_eq!(run(&worker, &other, &threads(3)).unwrap(), 7);
    wait_here(&life.steps().hold_constructor);
    let start = Instant::now();
    let lost = lost_to_load(worker.register(&life.callable()).unwrap_err());
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert_names_constructor(&lost, 1);
    assert_eq!((life.counts(), worker.losses()), ([1, 0, 0], 1));

    // A fresh device takes the place of the lost one while the constructor still waits.
    assert_works(&worker, &threads(1));
    assert_eq!(run(&worker, &other, &threads(3)).unwrap(), 7);
    go_on(&life.steps().hold_constructor);
    let handle = worker.register(&life.callable()).unwrap();
    assert_eq!(handle.id().index(), 1, "the failed registration has given its id back");
    assert_eq!(run(&worker, &handle, &threads(3)).unwrap(), 7);
    worker.unregister(&handle).unwrap();
}

#[test]
fn a_constructor_that_hangs_on_the_fresh_device_is_named_by_the_run_that_needs_it() {
    let (worker, life, stuck) = (open(), Life::new(), Life::new());
    let handle = worker.register(&life.callable()).unwrap();
    let other = worker.register(&stuck.callable()).unwrap();
    wait_here(&stuck.steps().hold_entry);
    assert!(matches!(run(&worker, &other, &short(2)), Err(RunError::DeviceLost(_))));
    wait_here(&life.steps().hold_constructor);
    match run(&worker, &handle, &short(2)) {
        Err(RunError::Replacement(error)) => assert_names_constructor(&lost_to_load(*error), 0),
        other => panic!("{other:?}"),
    }
    go_on(&life.steps().hold_constructor);
    assert_eq!(run(&worker, &handle, &threads(2)).unwrap(), 7);
    assert_eq!(worker.losses(), 2);
}

#[test]
fn a_constructor_within_its_limit_is_waited_for() {
    let (worker, life) = (open(), Life::new());
    let memory = worker.allocate(64).unwrap();
    wait_here(&life.steps().hold_constructor);
    let handle = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(60));
            go_on(&life.steps().hold_constructor);
        });
        worker.register(&life.callable()).unwrap()
    });
    assert_eq!(run(&worker, &handle, &threads(3)).unwrap(), 7);
    worker.copy_out(&mut [0; 64], memory).expect("the device was not lost");
}

#[test]
fn a_config_function_that_does_not_return_is_told_from_the_entry() {
    let (worker, life) = (open(), Life::new());
    let handle = worker.register(&life.callable()).unwrap();
    // Where nothing moves, a thread is called that sees it, however few there are.
    for aicpu_threads in [1, 3] {
        wait_here(&life.steps().hold_config);
        let error = run(&worker, &handle, &short(aicpu_threads)).unwrap_err();
        let RunError::DeviceLost(lost) = &error else { panic!("{error:?}") };
        let fault = lost.fault.as_ref().unwrap();
        assert_eq!(fault.code, StatusCode::SchedulerTimeout.code());
        let (call, text) = hanging_function(lost);
        assert_eq!(call.function, ForeignFunction::Config);
        assert_contains(
            &text,
            &["the config function of callable 0 (build-id ", "no progress for 200 ms"],
        );
        go_on(&life.steps().hold_config);
        assert_eq!(run(&worker, &handle, &threads(aicpu_threads)).unwrap(), 7);
    }
}

#[test]
fn a_destructor_that_does_not_return_ends_the_unregistering_and_costs_the_device() {
    let (worker, life, neighbour) = (open(), Life::new(), Life::new());
    let other = worker.register(&neighbour.callable()).unwrap();
    let handle = worker.register(&life.callable()).unwrap();
    assert_eq!(run(&worker, &handle, &threads(3)).unwrap(), 7);
    wait_here(&life.steps().hold_destructor);
    let start = Instant::now();
    let error = worker.unregister(&handle).unwrap_err();
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    let UnregisterError::DeviceLost(lost) = &error else { panic!("{error:?}") };
    let (call, text) = hanging_function(lost);
    let ForeignFunction::Destructor { number, count } = call.function else { panic!("{call:?}") };
    let named = format!("destructor {number} of {count} of callable 1 (build-id ");
    assert_contains(&text, &[&named, "has not returned for", "endless loop"]);
    assert_eq!(life.counts(), [1, 1, 1]);

    // It is unregistered all the same; what else there was is placed on a fresh device.
    assert!(matches!(worker.unregister(&handle), Err(UnregisterError::StaleCallable(_))));
    assert_eq!(run(&worker, &other, &threads(3)).unwrap(), 7);
    assert_works(&worker, &threads(1));
    let again = worker.register(&life.callable()).unwrap();
    assert_eq!(again.id(), handle.id());
    assert!(matches!(run(&worker, &handle, &threads(1)), Err(RunError::StaleCallable(_))));
    assert_eq!(run(&worker, &again, &threads(1)).unwrap(), 7);
    go_on(&life.steps().hold_destructor);
    worker.unregister(&again).unwrap();
    assert_eq!(life.counts(), [2, 2, 2]);
}

#[test]
fn a_destructor_that_does_not_return_does_not_keep_a_worker_from_closing() {
    let (worker, life) = (open(), Life::new());
    let handle = worker.register(&life.callable()).unwrap();
    assert_eq!(run(&worker, &handle, &threads(2)).unwrap(), 7);
    wait_here(&life.steps().hold_destructor);
    let start = Instant::now();
    drop(worker);
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert_eq!(life.counts(), [1, 1, 1]);
}

#[test]
fn closing_a_worker_runs_the_destructors_of_what_is_registered_once() {
    let (worker, lives) = (open(), [Life::new(), Life::new(), Life::new()]);
    let handles = lives.each_ref().map(|life| worker.register(&life.callable()).unwrap());
    for handle in &handles[..2] {
        assert_eq!(run(&worker, handle, &threads(1)).unwrap(), 7);
    }
    worker.unregister(&handles[0]).unwrap();
    drop(worker);
    let counts = lives.each_ref().map(Life::counts);
    assert_eq!(counts, [[1, 1, 1], [1, 1, 1], [1, 0, 1]], "the last one was never run");
}

#[test]
fn unregistering_during_a_run_waits_for_its_end_and_the_second_time_is_an_answer() {
    let (worker, life) = (open(), Life::new());
    let handle = worker.register(&life.callable()).unwrap();
    wait_here(&life.steps().hold_entry);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&worker, &handle, &threads(3)));
        while life.counts()[1] == 0 {
            std::thread::yield_now();
        }
        let unregistering = [(), ()].map(|()| scope.spawn(|| worker.unregister(&handle)));
        std::thread::sleep(Duration::from_millis(50));
        let waiting = unregistering.iter().filter(|each| !each.is_finished()).count();
        assert_eq!(waiting, 1, "the one that came first waits, the other one is told");
        assert!(matches!(run(&worker, &handle, &threads(1)), Err(RunError::StaleCallable(_))));
        assert_eq!(life.counts(), [1, 1, 0]);
        go_on(&life.steps().hold_entry);
        assert_eq!(running.join().unwrap().unwrap(), 7);
        let ended = unregistering.map(|each| each.join().unwrap());
        assert_eq!(ended.iter().filter(|each| each.is_ok()).count(), 1, "{ended:?}");
        let stale = |each: &Result<_, _>| matches!(each, Err(UnregisterError::StaleCallable(_)));
        assert_eq!(ended.iter().filter(|each| stale(each)).count(), 1, "{ended:?}");
    });
    assert_eq!(life.counts(), [1, 1, 1]);
}
