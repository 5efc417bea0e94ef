//! Runs through the whole path: worker, device, executor, cores.

use std::time::Duration;

use protocol::StatusCode;

use super::*;
use crate::device::LostCause;
use crate::test_callables::{
    callable, kernel, orchestration, orchestration_expecting, store_kernel, storing,
};

fn worker() -> Worker {
    worker_on(PlatformName::A2a3Sim)
}

fn worker_on(platform: PlatformName) -> Worker {
    let rings = crate::device::RingConfig { task_window: 64, heap_bytes: 1 << 20, dep_pool: 0 };
    Worker::open(WorkerConfig::new(platform).with_rings(rings)).unwrap()
}

fn quick() -> RunConfig {
    RunConfig {
        block_dim: 1,
        timeout: Duration::from_millis(500),
        grace: Duration::from_millis(500),
        ..RunConfig::default()
    }
}

/// Runs a callable of one output element and one scalar.
fn run_storing(
    worker: &Worker,
    handle: &CallableHandle,
    value: u64,
    config: &RunConfig,
) -> Result<(i32, RunReport), RunError> {
    let mut output = [-1_i32];
    let mut arguments = Arguments::new();
    arguments.push_output(&mut output, &[1]).unwrap();
    arguments.push_scalar(value).unwrap();
    let result = worker.run(handle, &mut arguments, config);
    if result.is_err() {
        assert_eq!(output, [-1], "outputs of a failed run are untouched");
    }
    result.map(|report| (output[0], report))
}

#[track_caller]
fn fault(result: Result<(i32, RunReport), RunError>) -> crate::run::RunFault {
    match result {
        Err(RunError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// The worker is as good as new.
#[track_caller]
fn assert_works(worker: &Worker) {
    let handle = worker.register(&storing(1)).unwrap();
    assert_eq!(run_storing(worker, &handle, 41, &RunConfig::default()).unwrap().0, 42);
    worker.unregister(&handle).unwrap();
}

#[test]
fn one_load_serves_many_runs_and_nothing_grows() {
    let worker = worker();
    let handle = worker.register(&storing(1)).unwrap();
    let mut usage = None;
    for value in 0..50 {
        let (output, report) = run_storing(&worker, &handle, value, &RunConfig::default()).unwrap();
        assert_eq!(u64::try_from(output).unwrap(), value + 1);
        assert_eq!((report.tasks, worker.counters().loads), (1, 1));
        assert_eq!(*usage.get_or_insert(worker.usage()), worker.usage());
    }
    let Counters { registrations, loads, runs, aicpu_dlopen_count, .. } = worker.counters();
    assert_eq!((registrations, loads, runs, aicpu_dlopen_count), (1, 1, 50, 1));
    worker.unregister(&handle).unwrap();
    assert_eq!(worker.usage(), DeviceUsage::default());
}

#[test]
fn every_thread_count_and_block_dimension_works_on_every_chip() {
    // Clusters and AICPU threads of a2a3 and of a5 (spec trb §2.1, §11).
    for (platform, clusters, threads) in
        [(PlatformName::A2a3Sim, 24, 4), (PlatformName::A5Sim, 36, 7)]
    {
        let worker = worker_on(platform);
        let facts = worker.facts().unwrap();
        assert_eq!(facts.chip, platform.chip().name());
        assert_eq!((facts.clusters_max, facts.aicpu_threads_max), (clusters, threads));
        let handle = worker.register(&storing(0)).unwrap();
        for aicpu_threads in 1..=threads {
            for block_dim in [1, 3, 24, clusters] {
                let config = RunConfig { aicpu_threads, block_dim, ..RunConfig::default() };
                assert_eq!(run_storing(&worker, &handle, 7, &config).unwrap().0, 7);
            }
        }
        let beyond = RunConfig { block_dim: clusters + 1, ..RunConfig::default() };
        let refused = run_storing(&worker, &handle, 7, &beyond);
        assert!(matches!(refused, Err(RunError::BlockDim { max, .. }) if max == clusters));
        let beyond = RunConfig { aicpu_threads: threads + 1, ..RunConfig::default() };
        let refused = run_storing(&worker, &handle, 7, &beyond);
        assert!(matches!(refused, Err(RunError::AicpuThreads { max, .. }) if max == threads));
    }
}

#[test]
fn two_callables_with_the_same_func_id_keep_their_own_kernels() {
    let worker = worker();
    let handles = [storing(100), storing(200)].map(|each| worker.register(&each).unwrap());
    for (handle, expected) in handles.iter().zip([105, 205]).cycle().take(6) {
        let output = run_storing(&worker, handle, 5, &RunConfig::default()).unwrap().0;
        assert_eq!(output, expected);
    }
    assert_eq!(worker.counters().loads, 2);
    worker.unregister(&handles[0]).unwrap();
    assert_eq!(run_storing(&worker, &handles[1], 5, &RunConfig::default()).unwrap().0, 205);
}

#[test]
fn inout_tensors_go_both_ways_and_device_tensors_stay() {
    let add = "extern \"C\" void kernel_entry(long *args) { \
               *reinterpret_cast<int *>(args[0]) += int(args[1]); }";
    let body = "store(0, args.tensors[0].data, args.scalars[0]);";
    let worker = worker();
    let handle = worker.register(&callable(orchestration(body), vec![kernel(0, add)])).unwrap();
    let mut value = [40_i32];
    let mut arguments = Arguments::new();
    arguments.push_inout(&mut value, &[1]).unwrap();
    arguments.push_scalar(2).unwrap();
    worker.run(&handle, &mut arguments, &RunConfig::default()).unwrap();
    assert_eq!(value, [42]);

    let address = worker.allocate(4).unwrap();
    worker.copy_in(address, &10_i32.to_le_bytes()).unwrap();
    for expected in [15, 20] {
        let mut arguments = Arguments::new();
        let data = crate::arguments::TensorData::Device(address);
        let dtype = protocol::DataType::Int32;
        let tensor = crate::arguments::TensorArgument { data, dtype, shape: vec![1] };
        arguments.push_tensor(tensor).unwrap();
        arguments.push_scalar(5).unwrap();
        worker.run(&handle, &mut arguments, &RunConfig::default()).unwrap();
        let mut back = [0; 4];
        worker.copy_out(&mut back, address).unwrap();
        assert_eq!(i32::from_le_bytes(back), expected);
    }
    // Known from the last run, and not there any more.
    let mut arguments = crate::arguments::OwnedArguments::new();
    arguments.push_device(address, protocol::DataType::Int32, &[1]).unwrap();
    arguments.push_scalar(5).unwrap();
    let mut call = worker.bind(&handle, arguments, &RunConfig::default()).unwrap();
    call.run().unwrap();
    call.run().unwrap();
    worker.free(address).unwrap();
    let refused = call.run();
    assert!(
        matches!(refused, Err(RunError::Memory(crate::device::MemoryError::OutOfRange { .. }))),
        "{refused:?}"
    );
}

#[test]
fn faults_of_the_orchestration_have_a_status_and_the_next_run_works() {
    let worker = worker();
    let check = |image: Vec<u8>, code: StatusCode, part: &str| {
        let broken = callable(image, vec![store_kernel(0, 0)]);
        let handle = worker.register(&broken).unwrap();
        for _ in 0..2 {
            let result = run_storing(&worker, &handle, 1, &RunConfig::default());
            let fault = fault(result);
            assert_eq!(fault.code, Some(code), "{fault}");
            assert_eq!(fault.status, -code.code());
            assert!(fault.text.contains(part), "{fault}");
        }
        worker.unregister(&handle).unwrap();
        assert_works(&worker);
    };
    let fatal = "runtime->ops->fatal(runtime, 9, \"entry\", \"tile %d is bad\", 7);";
    check(orchestration(fatal), StatusCode::ExplicitFatal, "tile 7 is bad");
    let throws = "throw std::runtime_error(\"no such tile\");";
    check(orchestration(throws), StatusCode::EntryException, "no such tile");
    check(orchestration_expecting(3, ""), StatusCode::ArgCountMismatch, "3");
    let missing = "store(5, args.tensors[0].data, 1);";
    check(orchestration(missing), StatusCode::KernelMissing, "5");
}

#[test]
fn a_kernel_that_throws_is_a_fault_that_names_it() {
    let throws = "#include <stdexcept>\nextern \"C\" void kernel_entry(long *) { \
                  throw std::logic_error(\"odd tile\"); }";
    let body = "store(3, args.tensors[0].data, 1);";
    let worker = worker();
    let handle = worker.register(&callable(orchestration(body), vec![kernel(3, throws)])).unwrap();
    let fault = fault(run_storing(&worker, &handle, 1, &RunConfig::default()));
    assert_eq!(fault.code, Some(StatusCode::KernelException));
    for part in ["func_id 3", "core", "std::logic_error: odd tile"] {
        assert!(fault.text.contains(part), "{fault}");
    }
    assert_works(&worker);
}

#[test]
fn an_orchestration_that_does_not_return_loses_the_device_and_the_next_run_works() {
    let worker = worker();
    let body = "for (volatile int turn = 0;;) { turn = turn + 1; if (turn < 0) turn = 0; \
                timespec pause{0, 1000000}; nanosleep(&pause, nullptr); }";
    let endless = callable(orchestration(body), Vec::new());
    let stuck = worker.register(&endless).unwrap();
    let good = worker.register(&storing(1)).unwrap();
    match run_storing(&worker, &stuck, 1, &quick()) {
        Err(RunError::DeviceLost(lost)) => assert_eq!(lost.cause, LostCause::Orchestration),
        other => panic!("{other:?}"),
    }
    assert_eq!(run_storing(&worker, &good, 1, &RunConfig::default()).unwrap().0, 2);
    assert_works(&worker);
}

#[test]
fn a_kernel_that_does_not_return_is_named_and_the_next_run_works() {
    let worker = worker();
    let endless = "#include <time.h>\nextern \"C\" void kernel_entry(long *) { \
                   for (;;) { timespec pause{0, 1000000}; nanosleep(&pause, nullptr); } }";
    let body = "store(2, args.tensors[0].data, 1);";
    let stuck = worker.register(&callable(orchestration(body), vec![kernel(2, endless)])).unwrap();
    match run_storing(&worker, &stuck, 1, &quick()) {
        Err(RunError::DeviceLost(lost)) => {
            let LostCause::Kernel { func_id, .. } = lost.cause else { panic!("{lost}") };
            assert_eq!(func_id.map(|id| id.index()), Some(2));
            assert!(lost.to_string().contains("func_id 2"), "{lost}");
        }
        other => panic!("{other:?}"),
    }
    assert_works(&worker);
}

#[test]
fn handles_of_other_workers_and_of_earlier_registrations_are_refused() {
    let (first, second) = (worker(), worker());
    let handle = first.register(&storing(0)).unwrap();
    let _of_second = second.register(&storing(0)).unwrap();
    let config = RunConfig::default();
    let foreign = second.run(&handle, &mut Arguments::new(), &config);
    assert!(matches!(foreign, Err(RunError::ForeignHandle)));
    first.unregister(&handle).unwrap();
    let _of_first = first.register(&storing(0)).unwrap();
    let stale = first.run(&handle, &mut Arguments::new(), &config);
    assert!(matches!(stale, Err(RunError::StaleCallable(_))));
}

mod equal_bytes;
mod failed_steps;
mod records;
