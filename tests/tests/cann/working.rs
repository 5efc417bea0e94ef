//! Callables on both chips, with the right numbers.

use host_runner::device::DeviceError;
use host_runner::device::cann::CannError;
use host_runner::worker::{PlatformName, Worker, WorkerError};
use protocol::StatusCode;
use tests::sources::{self, callable_for, cell_kernels_for};
use tests::workers::{self, Cells, SENTINEL};

use super::mock::{Installed, alone, brief};

/// Registers, runs with each number of AICPU threads and unregisters, twice.
fn life(mock: &Installed, chip: PlatformName) {
    let worker = mock.open().unwrap();
    let before = mock.live();
    for _ in 0..2 {
        let callable =
            callable_for(chip.chip(), "graphs", "fork_join", cell_kernels_for(chip.chip()));
        let handle = worker.register(&callable).unwrap();
        for threads in 1..=4 {
            let mut passed = Cells {
                input: (0..16).map(|cell| 1000 + cell).collect(),
                cells: vec![SENTINEL; 16],
                scalars: vec![u64::from(threads)],
            };
            let report = passed.run(&worker, &handle, &brief(threads)).unwrap();
            assert_eq!(passed.cells, workers::fork_join(&passed.input, threads.into()));
            assert_eq!(report.tasks, workers::FORK_JOIN_TASKS);
        }
        worker.unregister(&handle).unwrap();
    }
    // What runs work in stays.
    assert_eq!(mock.live(), before + 2);
    drop(worker);
}

#[test]
fn an_a2a3_computes_the_right_numbers() {
    alone("working::an_a2a3_computes_the_right_numbers", PlatformName::A2a3, |mock| {
        life(mock, PlatformName::A2a3);
    });
}

#[test]
fn an_a5_computes_the_right_numbers() {
    alone("working::an_a5_computes_the_right_numbers", PlatformName::A5, |mock| {
        life(mock, PlatformName::A5);
    });
}

#[test]
fn many_runs_of_several_callables_allocate_nothing_and_load_nothing_again() {
    alone(
        "working::many_runs_of_several_callables_allocate_nothing_and_load_nothing_again",
        PlatformName::A2a3,
        |mock| {
            let worker = mock.open().unwrap();
            let names = ["fork_join", "fork_join"];
            let callables =
                names.map(|name| sources::callable("graphs", name, sources::cell_kernels()));
            let handles = callables.map(|callable| worker.register(&callable).unwrap());
            let round = |scalar: u64| {
                for handle in &handles {
                    let mut passed = Cells {
                        input: vec![5; 16],
                        cells: vec![SENTINEL; 16],
                        scalars: vec![scalar],
                    };
                    passed.run(&worker, handle, &brief(3)).unwrap();
                    assert_eq!(passed.cells, workers::fork_join(&passed.input, scalar));
                }
            };
            round(0);
            let (allocations, live) = (mock.calls("rtMalloc"), mock.live());
            (1..50).for_each(round);
            assert_eq!((mock.calls("rtMalloc"), mock.live()), (allocations, live));
            assert_eq!(worker.counters().loads, 2);
            handles.iter().for_each(|handle| worker.unregister(handle).unwrap());
            drop(worker);
        },
    );
}

#[test]
fn a_failed_run_says_why_and_the_next_one_is_right() {
    alone("working::a_failed_run_says_why_and_the_next_one_is_right", PlatformName::A2a3, |mock| {
        let worker = mock.open().unwrap();
        let callable = sources::callable("graphs", "fork_join", Vec::new());
        let handle = worker.register(&callable).unwrap();
        for _ in 0..2 {
            let mut passed =
                Cells { input: vec![1; 16], cells: vec![SENTINEL; 16], scalars: vec![1] };
            let ended = passed.run(&worker, &handle, &brief(2));
            workers::assert_fault(ended, StatusCode::KernelMissing, &["func id"]);
        }
        workers::assert_works(&worker, &brief(2));
        assert_eq!(worker.losses(), 0);
        worker.unregister(&handle).unwrap();
        drop(worker);
    });
}

#[test]
fn what_cannot_be_loaded_is_refused_with_the_reason_and_leaves_nothing() {
    alone(
        "working::what_cannot_be_loaded_is_refused_with_the_reason_and_leaves_nothing",
        PlatformName::A2a3,
        |mock| {
            let worker = mock.open().unwrap();
            let before = mock.live();
            let callable = sources::callable("missing_import", "missing_import", Vec::new());
            let refused = worker.register(&callable).map(drop).unwrap_err();
            let text = error_chain(&refused);
            assert!(text.contains("LOAD_FAILED"), "{text}");
            assert_eq!(mock.live(), before);
            workers::assert_works(&worker, &brief(3));
            drop(worker);
        },
    );
}

#[test]
fn a_second_worker_is_refused_until_the_first_is_closed_and_another_chip_for_good() {
    alone(
        "working::a_second_worker_is_refused_until_the_first_is_closed_and_another_chip_for_good",
        PlatformName::A2a3,
        |mock| {
            let first = mock.open().unwrap();
            let refused = mock.open().map(drop);
            let Err(WorkerError::Device(DeviceError::Cann(CannError::InUse))) = refused else {
                panic!("{refused:?}")
            };
            drop(first);
            let other = mock.open().unwrap();
            workers::assert_works(&other, &brief(1));
            drop(other);
            let mut config = mock.config();
            config.platform = PlatformName::A5;
            let refused = Worker::open(config).map(drop);
            let Err(WorkerError::Device(DeviceError::Cann(CannError::AnotherProgram { .. }))) =
                refused
            else {
                panic!("{refused:?}")
            };
        },
    );
}

/// An error with all its causes.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}
