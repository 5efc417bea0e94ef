//! Callables on both chips, with the right numbers.

use host_runner::comm::{CommError, CommGroup};
use host_runner::device::DeviceError;
use host_runner::device::cann::CannError;
use host_runner::worker::{CodeListing, PlatformName, Worker, WorkerError};
use protocol::StatusCode;
use tests::sources;
use tests::workers::{self, Cells, SENTINEL};

use super::mock::{Installed, Plan, add, adding, alone, assert_works, brief};

/// Registers, runs with each number of AICPU threads and unregisters, twice.
fn life(mock: &Installed, chip: PlatformName) {
    let worker = mock.open().unwrap();
    let before = mock.live();
    for _ in 0..2 {
        let handle = worker.register(&adding(chip)).unwrap();
        for threads in 1..=4 {
            add(&worker, &handle, threads.into(), &brief(threads)).unwrap();
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
            // The second one has another entry, and gives twice the input.
            let first = worker.register(&adding(PlatformName::A2a3)).unwrap();
            let kernels = sources::cell_kernels();
            let second = worker.register(&sources::callable("runs", "doubles", kernels)).unwrap();
            let round = |number: u64| {
                add(&worker, &first, number, &brief(3)).unwrap();
                let input = vec![5 + number; 16];
                let mut passed = Cells { input, cells: vec![SENTINEL; 16], scalars: vec![number] };
                passed.run(&worker, &second, &brief(2)).unwrap();
                let expected: Vec<u64> = (0..16).map(|i| 2 * (5 + number) + number + i).collect();
                assert_eq!(passed.cells, expected);
            };
            round(0);
            let (allocations, live) = (mock.calls("rtMalloc"), mock.live());
            (1..50).for_each(round);
            assert_eq!((mock.calls("rtMalloc"), mock.live()), (allocations, live));
            assert_eq!(worker.counters().loads, 2);
            worker.unregister(&first).unwrap();
            worker.unregister(&second).unwrap();
            drop(worker);
        },
    );
}

#[test]
fn a_failed_run_says_why_and_the_next_one_is_right() {
    alone("working::a_failed_run_says_why_and_the_next_one_is_right", PlatformName::A2a3, |mock| {
        let worker = mock.open().unwrap();
        // It wants an argument and says so.
        let kernels = sources::cell_kernels();
        let callable = sources::callable("hazards", "stale_producers", kernels);
        let handle = worker.register(&callable).unwrap();
        for _ in 0..2 {
            let ended = Cells::default().run(&worker, &handle, &brief(2));
            workers::assert_fault(ended, StatusCode::ArgCountMismatch, &["wants 1 arguments"]);
        }
        assert_works(&worker);
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
            let callable =
                sources::callable("missing_import", protocol::DEFAULT_ENTRY_SYMBOL, Vec::new());
            let refused = worker.register(&callable).map(drop).unwrap_err();
            let text = error_chain(&refused);
            assert!(text.contains("LOAD_FAILED"), "{text}");
            assert_eq!(mock.live(), before);
            assert_works(&worker);
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
            assert_works(&other);
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

#[test]
fn what_somebody_else_has_initialised_stays_initialised() {
    alone(
        "working::what_somebody_else_has_initialised_stays_initialised",
        PlatformName::A2a3,
        |mock| {
            mock.initialise();
            let worker = mock.open().unwrap();
            assert_works(&worker);
            drop(worker);
            assert_eq!((mock.calls("aclrtResetDevice"), mock.calls("aclFinalize")), (1, 0));
        },
    );
}

#[test]
fn a_program_that_was_not_loaded_does_not_keep_another_one_out() {
    alone(
        "working::a_program_that_was_not_loaded_does_not_keep_another_one_out",
        PlatformName::A2a3,
        |mock| {
            mock.plan("rtMalloc", 1, Plan::Fail(4242));
            let refused = mock.open().map(drop);
            assert!(matches!(refused, Err(WorkerError::Device(_))), "{refused:?}");
            let mut config = mock.config();
            config.platform = PlatformName::A5;
            let worker = Worker::open(config).unwrap();
            assert_works(&worker);
            drop(worker);
        },
    );
}

#[test]
fn what_only_simulators_have_is_refused() {
    alone("working::what_only_simulators_have_is_refused", PlatformName::A2a3, |mock| {
        let listing = CodeListing { gdb: true, perf_map: None };
        let settings = [
            mock.config().with_code_listing(listing),
            mock.config().with_interleaving_seed(Some(7)),
        ];
        for config in settings {
            let refused = Worker::open(config).map(drop);
            let Err(WorkerError::Device(DeviceError::Unsupported { .. })) = refused else {
                panic!("{refused:?}")
            };
        }
        assert_eq!(mock.calls("aclInit"), 0);
        let worker = mock.open().unwrap();
        let refused = CommGroup::new(&[&worker], 64).map(drop);
        let Err(CommError::Device { source, .. }) = refused else { panic!("{refused:?}") };
        assert!(matches!(*source, DeviceError::Unsupported { .. }), "{source}");
        drop(worker);
    });
}

/// An error with all its causes.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}
