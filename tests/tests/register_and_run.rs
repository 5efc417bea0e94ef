//! Registering and running as separate steps: what is loaded when, which kernels are whose, and
//! what a run that fails leaves behind (spec callable §6.3, §7.1).

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::callable::{Callable, KernelImage};
use host_runner::device::DeviceUsage;
use host_runner::registry::RegisterError;
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::{CoreType, StatusCode};
use tests::prepared::{assert_47, counted, vector_add};
use tests::sources;
use tests::workers::{
    Cells, SENTINEL, assert_fault, assert_works, fork_join, open, open_with_rings, threads,
};

/// A callable that fills its output with its scalar onwards, by this kernel under func id 0.
fn filling(kernel: KernelImage) -> Callable {
    sources::callable("faults", "spoils", vec![kernel])
}

#[track_caller]
fn cells_after(worker: &Worker, handle: &CallableHandle) -> Vec<u64> {
    let mut passed = Cells { cells: vec![SENTINEL; 3], ..Cells::default() };
    passed.run(worker, handle, &threads(3)).unwrap();
    passed.cells
}

#[test]
fn a_rejected_registration_leaves_the_others_and_the_device_as_they_are() {
    let worker = open();
    let handle = worker.register(&vector_add(PlatformName::default())).unwrap();
    assert_47(&worker, &handle);
    let usage = worker.usage();
    // Func id 0 is that of `add` too, and the first kernel is a good one.
    let kernels = vec![
        sources::kernel(0, CoreType::Aiv, "fill"),
        sources::kernel(1, CoreType::Aiv, "no_entry"),
    ];
    let broken = sources::callable("graphs", "empty", kernels);
    for _ in 0..3 {
        let error = worker.register(&broken).unwrap_err();
        assert!(matches!(error, RegisterError::Kernel { func_id, .. } if func_id.index() == 1));
        assert_eq!(worker.usage(), usage);
    }
    assert_47(&worker, &handle);
    assert_eq!(counted(&worker), (1, 1, 1, 2));
    let next = worker.register(&vector_add(PlatformName::default())).unwrap();
    assert_eq!(next.id().index(), 1, "a rejected registration uses up no id");
}

#[test]
fn there_are_64_ids_and_one_that_was_given_back_is_used_again() {
    let worker = open_with_rings(64, 1 << 16);
    let callable = filling(sources::kernel(0, CoreType::Aiv, "fill"));
    let ids = worker.facts().unwrap().callable_ids;
    assert!(ids >= 64, "the protocol's cap is the least there is");
    let handles: Vec<_> = (0..ids).map(|_| worker.register(&callable).unwrap()).collect();
    assert!(handles.iter().map(|handle| handle.id().index()).eq(0..ids));
    for handle in [&handles[0], &handles[63], &handles[ids - 1]] {
        assert_eq!(cells_after(&worker, handle), [666, 667, 668]);
    }
    let usage = worker.usage();
    for _ in 0..2 {
        let error = worker.register(&callable).unwrap_err();
        assert!(matches!(error, RegisterError::Full { limit } if limit == ids), "{error:?}");
        assert!(error.to_string().contains("unregister a callable first"), "{error}");
        assert_eq!(worker.usage(), usage);
    }
    worker.unregister(&handles[17]).unwrap();
    let again = worker.register(&callable).unwrap();
    assert_eq!(again.id().index(), 17);
    assert_eq!(cells_after(&worker, &again), [666, 667, 668]);
    assert!(matches!(worker.register(&callable), Err(RegisterError::Full { .. })));
    let all = ids as u64 + 1;
    assert_eq!(counted(&worker), (all, all, 4, 4));
}

#[test]
fn more_than_64_registrations_in_a_row_are_no_problem() {
    let worker = open_with_rings(64, 1 << 16);
    let callable = filling(sources::kernel(0, CoreType::Aiv, "fill"));
    for round in 1..=130 {
        let handle = worker.register(&callable).unwrap();
        assert_eq!(handle.id().index(), 0);
        assert_eq!(cells_after(&worker, &handle), [666, 667, 668]);
        assert_eq!(counted(&worker), (round, round, round, round));
        worker.unregister(&handle).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    }
}

#[test]
fn a_first_run_that_fails_poisons_neither_its_id_nor_others() {
    let worker = open();
    let fork = sources::callable("graphs", "fork_join", sources::cell_kernels());
    let other = worker.register(&vector_add(PlatformName::default())).unwrap();
    let builder = Callable::builder(sources::orchestration("graphs"));
    let expecting = builder.name("demanding").entry("fork_join").config("expects_three");
    let handle = worker.register(&sources::packed(expecting, sources::cell_kernels())).unwrap();
    let too_few = Cells { cells: vec![SENTINEL; 2], ..Cells::default() };
    for _ in 0..2 {
        let result = too_few.clone().run(&worker, &handle, &threads(3));
        let parts = ["arg_count 1 < expected 3", "1 tensors and 0 scalars"];
        assert_fault(result, StatusCode::ArgCountMismatch, &parts);
        assert_47(&worker, &other);
    }
    let input = vec![5, 6];
    let mut enough = Cells { input, cells: vec![SENTINEL; 2], scalars: vec![1] };
    enough.run(&worker, &handle, &threads(3)).unwrap();
    assert_eq!(enough.cells, fork_join(&enough.input, 1));
    // Nothing was wrong with what is loaded, so nothing was loaded again.
    assert_eq!(worker.counters().loads, 2);
    assert_works(&worker, &threads(1));
    assert!(worker.register(&fork).is_ok());
}

#[test]
fn workers_in_one_process_do_not_disturb_each_other() {
    let callable = sources::callable("graphs", "fork_join", sources::cell_kernels());
    let work = |seed: u64| {
        let worker = open();
        let handle = worker.register(&callable).unwrap();
        for round in 0..60 {
            let input: Vec<u64> = (0..50).map(|cell| seed * 1000 + cell * round).collect();
            let expected = fork_join(&input, round);
            let mut passed = Cells { input, cells: vec![SENTINEL; 50], scalars: vec![round] };
            passed.run(&worker, &handle, &threads(seed as u32)).unwrap();
            assert_eq!(passed.cells, expected);
            if round % 20 == 10 {
                let fails = worker.register(&filling(sources::kernel(0, CoreType::Aiv, "throws")));
                let fails = fails.unwrap();
                let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
                let result = passed.run(&worker, &fails, &threads(seed as u32));
                assert_fault(result, StatusCode::KernelException, &["odd tile"]);
                worker.unregister(&fails).unwrap();
            }
        }
        assert_eq!(counted(&worker), (4, 4, 4, 60));
    };
    std::thread::scope(|scope| {
        (1..=3).for_each(|seed| {
            scope.spawn(move || work(seed));
        });
    });
}

#[test]
fn threads_that_share_a_worker_take_turns() {
    let worker = open();
    let callable = sources::callable("graphs", "fork_join", sources::cell_kernels());
    let handles = [(); 2].map(|()| worker.register(&callable).unwrap());
    std::thread::scope(|scope| {
        for (seed, handle) in [3, 4].into_iter().zip(&handles) {
            let worker = &worker;
            scope.spawn(move || {
                for round in 0..30 {
                    let input: Vec<u64> = (0..20).map(|cell| seed * 100 + cell).collect();
                    let expected = fork_join(&input, round);
                    let cells = vec![SENTINEL; 20];
                    let mut passed = Cells { input, cells, scalars: vec![round] };
                    passed.run(worker, handle, &threads(3)).unwrap();
                    assert_eq!(passed.cells, expected);
                }
            });
        }
    });
    assert_eq!(counted(&worker), (2, 2, 2, 60));
}
