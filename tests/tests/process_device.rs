//! A device in a process of its own: it does what the simulator does, and what ends its process is an error here,
//! after which the worker goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::process::Command;
use std::time::{Duration, Instant};

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::callable::Callable;
use host_runner::device::{Crash, CrashedIn, DeviceLost, KernelError, LostCause};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, PlatformName, RegisterError, Worker, WorkerConfig};
use protocol::{ChipName, CoreType, DataType, FuncId, StatusCode};
use tests::child;
use tests::device_program::{build, children, open_process};
use tests::process::Holdings;
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_works, threads, with_causes};

/// What the scalar of `crashes.cpp` asks for.
const SOUND: u64 = 0;
const CALL_NULL: u64 = 1;
const ABORT: u64 = 2;
const ENDLESS: u64 = 3;
const OVERFLOW_STACK: u64 = 4;
const WRITE_NULL: u64 = 5;

/// No drill may take longer; the time limit of the runs that do not return is a fraction of it.
const BOUND: Duration = Duration::from_secs(20);

fn callable(entry: &str) -> Callable {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "crash"));
    sources::callable("crashes", entry, kernels)
}

/// Runs in a way; the output is untouched if it fails.
fn run(
    worker: &Worker,
    handle: &CallableHandle,
    way: u64,
    config: &RunConfig,
) -> Result<u64, RunError> {
    let mut passed = Cells { cells: vec![SENTINEL], scalars: vec![way], ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells[0])
}

#[track_caller]
fn lost(result: Result<u64, RunError>) -> DeviceLost {
    match result {
        Err(RunError::DeviceLost(lost)) => lost,
        other => panic!("expected the loss of the device, got {other:?}"),
    }
}

#[track_caller]
fn crash(lost: &DeviceLost) -> &Crash {
    match &lost.cause {
        LostCause::Crash(crash) => crash,
        other => panic!("expected a crash, got {other:?}"),
    }
}

fn names(crash: &Crash) -> Vec<&str> {
    crash.frames.iter().filter_map(|frame| frame.symbol.as_deref()).collect()
}

/// The worker's one child.
#[track_caller]
fn only_child() -> u32 {
    let children = children();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

fn kill(process: u32) {
    let ended = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(ended.success());
}

#[test]
fn runs_give_what_they_give_in_the_simulator_on_all_numbers_of_threads() {
    for platform in PlatformName::PROCESSES {
        let worker = open_process(*platform);
        for aicpu_threads in 1..=4 {
            if platform.chip() == ChipName::A2a3 {
                assert_works(&worker, &threads(aicpu_threads));
            }
        }
        let facts = worker.facts().unwrap();
        let simulator = Worker::open(WorkerConfig::new(match platform.chip() {
            ChipName::A2a3 => PlatformName::A2a3Sim,
            ChipName::A5 => PlatformName::A5Sim,
        }));
        assert_eq!(facts, simulator.unwrap().facts().unwrap());
    }
}

#[test]
fn many_runs_and_memory_of_the_user_and_books_are_as_in_the_simulator() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handle = worker.register(&callable("kernel_crashes")).unwrap();
    for _ in 0..500 {
        assert_eq!(run(&worker, &handle, SOUND, &threads(3)).unwrap(), 8);
    }
    assert_eq!(worker.counters().loads, 1);
    let address = worker.allocate(64).unwrap();
    worker.copy_in(address, &[7; 64]).unwrap();
    let mut arguments = Arguments::new();
    let (dtype, shape) = (DataType::Uint64, vec![8]);
    let data = TensorData::Device(address);
    arguments.push_tensor(TensorArgument { data, dtype, shape }).unwrap();
    arguments.push_scalar(SOUND).unwrap();
    worker.run(&handle, &mut arguments, &threads(2)).unwrap();
    let mut bytes = [0; 64];
    worker.copy_out(&mut bytes, address).unwrap();
    let words: Vec<u64> =
        bytes.chunks_exact(8).map(|it| u64::from_ne_bytes(it.try_into().unwrap())).collect();
    assert_eq!(words, (8..16).collect::<Vec<u64>>());
    assert!(worker.copy_out(&mut [0; 65], address).is_err());
    let report = worker.memory_report();
    let user = report.holders.iter().find(|it| it.holder == "user").unwrap();
    assert_eq!((user.bytes, user.allocations), (64, 1));
    worker.free(address).unwrap();
    assert!(worker.free(address).is_err());
    worker.unregister(&handle).unwrap();
    let usage = worker.usage();
    assert_eq!((usage.kernels, usage.allocations, usage.bytes), (0, 0, 0));
}

#[test]
fn several_workers_have_a_process_each_and_one_that_crashes_leaves_the_others() {
    let workers = [(); 3].map(|()| open_process(PlatformName::A2a3Proc));
    std::thread::scope(|scope| {
        for (index, worker) in workers.iter().enumerate() {
            scope.spawn(move || {
                let handle = worker.register(&callable("crashes")).unwrap();
                for _ in 0..20 {
                    assert_eq!(run(worker, &handle, SOUND, &threads(2)).unwrap(), 7);
                    if index == 0 {
                        lost(run(worker, &handle, ABORT, &threads(2)));
                    }
                }
                assert_eq!(worker.losses(), if index == 0 { 20 } else { 0 });
            });
        }
    });
}

#[test]
fn a_crash_in_an_entry_names_signal_address_and_functions_and_the_next_run_works() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handle = worker.register(&callable("crashes")).unwrap();
    let drills = [
        (CALL_NULL, libc_signal::SEGV, Some(0), "call"),
        (WRITE_NULL, libc_signal::SEGV, Some(0), "write_null"),
        (ABORT, libc_signal::ABRT, None, "give_up"),
    ];
    for (way, signal, address, function) in drills {
        for aicpu_threads in [1, 3] {
            let start = Instant::now();
            let lost = lost(run(&worker, &handle, way, &threads(aicpu_threads)));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            let crash = crash(&lost);
            assert_eq!((crash.signal, crash.address), (signal, address), "{lost}");
            let callable = handle.id();
            assert_eq!(crash.inside, CrashedIn::Orchestration { callable }, "{lost}");
            let names = names(crash);
            assert!(names.iter().any(|name| name.contains(function)), "{function}: {lost}");
            if way != CALL_NULL {
                // The caller of one that calls null is all that can be told for sure.
                assert!(names.iter().any(|name| name.starts_with("crashes")), "{lost}");
            }
            assert_eq!(run(&worker, &handle, SOUND, &threads(aicpu_threads)).unwrap(), 7);
        }
    }
    assert_eq!(worker.losses(), 6);
}

#[test]
fn a_crash_in_a_kernel_names_its_func_id_and_core_and_the_next_run_works() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handle = worker.register(&callable("kernel_crashes")).unwrap();
    for (way, signal, function) in
        [(CALL_NULL, libc_signal::SEGV, "call"), (ABORT, libc_signal::ABRT, "give_up")]
    {
        let lost = lost(run(&worker, &handle, way, &threads(3)));
        let crash = crash(&lost);
        assert_eq!(crash.signal, signal, "{lost}");
        let CrashedIn::Kernel { core, func_id } = crash.inside else { panic!("{lost}") };
        // With 24 clusters, cores 0 to 23 are cube cores.
        assert!((24..72).contains(&core), "{core}");
        assert_eq!(func_id, FuncId::new(6).ok(), "{lost}");
        assert!(names(crash).iter().any(|name| name.contains(function)), "{lost}");
        assert_eq!(run(&worker, &handle, SOUND, &threads(3)).unwrap(), 8);
    }
}

#[test]
fn a_stack_that_overflows_is_called_that() {
    let worker = open_process(PlatformName::A2a3Proc);
    let handles =
        ["crashes", "kernel_crashes"].map(|entry| worker.register(&callable(entry)).unwrap());
    for handle in &handles {
        let lost = lost(run(&worker, handle, OVERFLOW_STACK, &threads(2)));
        let crash = crash(&lost);
        assert!(crash.is_stack_overflow && crash.signal == libc_signal::SEGV, "{lost}");
        let names = names(crash);
        assert!(names.iter().filter(|name| name.starts_with("descend")).count() > 1, "{lost}");
        assert!(run(&worker, handle, SOUND, &threads(2)).is_ok());
    }
}

/// Settings with which what does not return takes about a second.
fn short() -> RunConfig {
    RunConfig {
        timeout: Duration::from_millis(500),
        stall_timeout: Duration::from_millis(200),
        grace: Duration::from_millis(300),
        ..threads(3)
    }
}

#[test]
fn what_does_not_return_is_named_as_in_the_simulator_and_its_process_is_ended() {
    let test = "what_does_not_return_is_named_as_in_the_simulator_and_its_process_is_ended";
    build();
    child::alone(test, || {
        let worker = open_process(PlatformName::A2a3Proc);
        let entry = worker.register(&callable("crashes")).unwrap();
        let kernel = worker.register(&callable("kernel_crashes")).unwrap();
        for (handle, good) in [(&entry, 7), (&kernel, 8)] {
            let (start, process) = (Instant::now(), only_child());
            let lost = lost(run(&worker, handle, ENDLESS, &short()));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            match lost.cause {
                LostCause::Orchestration => assert_eq!(good, 7, "{lost}"),
                LostCause::Kernel { func_id, .. } => {
                    assert_eq!((good, func_id), (8, FuncId::new(6).ok()), "{lost}");
                }
                _ => panic!("{lost}"),
            }
            assert!(lost.to_string().contains("endless loop"), "{lost}");
            assert!(!children().contains(&process), "nothing of it goes on");
            assert_eq!(run(&worker, handle, SOUND, &threads(3)).unwrap(), good);
        }
    });
}

#[test]
fn a_constructor_that_crashes_fails_the_registration_and_nothing_else() {
    let worker = open_process(PlatformName::A2a3Proc);
    let sound = worker.register(&callable("crashes")).unwrap();
    let image = sources::orchestration("constructor_crashes");
    let bad = sources::packed(Callable::builder(image).name("bad"), Vec::new());
    let error = worker.register(&bad).unwrap_err();
    let text = with_causes(&error);
    for part in ["`bad`", "SIGSEGV at 0x0", "constructor or destructor of the orchestration"] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert_eq!(run(&worker, &sound, SOUND, &threads(2)).unwrap(), 7);
    let kernels = vec![sources::kernel(0, CoreType::Aiv, "constructor_crashes")];
    let error = worker.register(&sources::callable("graphs", "fork_join", kernels)).unwrap_err();
    let RegisterError::Kernel { source: KernelError::Lost(lost), .. } = &error else {
        panic!("{error:?}")
    };
    let crash = crash(lost);
    assert_eq!((crash.signal, &crash.inside), (libc_signal::ABRT, &CrashedIn::LoadingKernel));
    assert_eq!(run(&worker, &sound, SOUND, &threads(2)).unwrap(), 7);
}

#[test]
fn a_program_that_is_killed_while_it_idles_is_replaced_and_one_in_a_run_is_an_error() {
    let test = "a_program_that_is_killed_while_it_idles_is_replaced_and_one_in_a_run_is_an_error";
    build();
    child::alone(test, || {
        let worker = open_process(PlatformName::A2a3Proc);
        let handle = worker.register(&callable("crashes")).unwrap();
        kill(only_child());
        while !children().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 7);
        assert_eq!(worker.losses(), 1);
        let process = only_child();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                kill(process);
            });
            let start = Instant::now();
            let lost = lost(run(&worker, &handle, ENDLESS, &threads(2)));
            assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
            assert_eq!(lost.cause, LostCause::Ended { how: "SIGKILL".to_owned() });
        });
        assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 7);
    });
}

#[test]
fn nothing_stays_of_devices_that_were_closed_or_lost() {
    let test = "nothing_stays_of_devices_that_were_closed_or_lost";
    build();
    child::alone(test, || {
        let life = || {
            let worker = open_process(PlatformName::A2a3Proc);
            let handle = worker.register(&callable("kernel_crashes")).unwrap();
            lost(run(&worker, &handle, ABORT, &threads(2)));
            assert_eq!(run(&worker, &handle, SOUND, &threads(2)).unwrap(), 8);
        };
        life();
        let before = Holdings::now();
        for _ in 0..5 {
            life();
        }
        let after = Holdings::now();
        assert!(children().is_empty(), "no process stays, and no zombie");
        assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads));
        assert!(after.mappings <= before.mappings + 4, "{before:?} {after:?}");
    });
}

#[test]
fn the_program_ends_with_its_host() {
    let test = "the_program_ends_with_its_host";
    if child::is_child(test) {
        let worker = open_process(PlatformName::A2a3Proc);
        println!("program {}", only_child());
        std::mem::forget(worker);
        // No destructor runs, as if it were killed.
        std::process::abort();
    }
    build();
    let output = child::command(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.lines().find_map(|line| line.split("program ").nth(1)).unwrap();
    let folder = format!("/proc/{}", number.trim());
    let start = Instant::now();
    while std::path::Path::new(&folder).exists() {
        assert!(start.elapsed() < BOUND, "{folder} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn faults_are_told_as_in_the_simulator() {
    let worker = open_process(PlatformName::A2a3Proc);
    let throws = sources::callable("faults", "throws_deep", sources::cell_kernels());
    let handle = worker.register(&throws).unwrap();
    let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
    let Err(RunError::Fault(fault)) = passed.run(&worker, &handle, &threads(2)) else {
        panic!("a fault")
    };
    assert_eq!(fault.code, Some(StatusCode::EntryException));
    assert!(fault.text.contains("no parts") && fault.text.contains("divide_tile"), "{fault}");
    assert_works(&worker, &threads(2));
}

#[test]
fn what_such_a_device_does_not_have_is_refused_and_a_missing_program_is_named() {
    let worker = open_process(PlatformName::A2a3Proc);
    let refused = host_runner::comm::CommGroup::new(&[&worker], 4096).unwrap_err();
    let text = with_causes(&refused);
    assert!(text.contains("windows that it shares"), "{text}");
    let config = WorkerConfig::new(PlatformName::A2a3Proc);
    let process = config.process.clone().with_program(Some("/nonexistent/program".into()));
    let error = Worker::open(config.with_process(process)).unwrap_err();
    assert!(with_causes(&error).contains("/nonexistent/program does not start"), "{error:?}");
    let config = WorkerConfig::new(PlatformName::A2a3Proc);
    let process = config.process.clone().with_program(Some("/bin/true".into()));
    let error = Worker::open(config.with_process(process)).unwrap_err();
    assert!(with_causes(&error).contains("ended before it was ready"), "{error:?}");
}

/// Numbers of signals, which are the same on both machines.
mod libc_signal {
    pub(super) const ABRT: i32 = 6;
    pub(super) const SEGV: i32 = 11;
}
