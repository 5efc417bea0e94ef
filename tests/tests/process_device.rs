//! A device in a process of its own: it does what the simulator does, and what ends its process is an error here,
//! after which the worker goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::run::RunError;
use host_runner::worker::{PlatformName, Worker, WorkerConfig};
use protocol::{ChipName, DataType, StatusCode};
use tests::device_program::open_process;
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_works, threads, with_causes};

#[path = "process_device/crashes.rs"]
mod crashes;
#[path = "process_device/emulated.rs"]
mod emulated;
#[path = "process_device/ends.rs"]
mod ends;
#[path = "process_device/loading.rs"]
mod loading;
#[path = "process_device/setting.rs"]
mod setting;

use setting::*;

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
