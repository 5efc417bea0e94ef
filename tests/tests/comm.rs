//! Several chips in one process: windows that ranks read from one another, and chips that have
//! nothing to do with one another.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::callable::Callable;
use host_runner::comm::{CommError, CommGroup, WORK_SPACE_BYTES};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::{CoreType, DataType};
use tests::flag::Flag;
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_works, open_on, threads};

/// Cells that each rank gives to each rank.
const COUNT: u64 = 32;
/// A signal, and two sets of slots of up to four ranks.
const WINDOW: usize = 64 + 2 * 4 * COUNT as usize * 8;

/// A callable with one of the entries of `ranks.cpp`, for the chip of a platform.
fn callable(platform: PlatformName, entry: &str) -> Callable {
    let chip = platform.chip();
    let names =
        [(0, "fill"), (7, "exchange"), (8, "describe_rank"), (9, "wait_and_mark"), (10, "pipe")];
    let kernels = names.map(|(id, name)| sources::kernel_for(chip, id, CoreType::Aiv, name));
    let builder = Callable::builder(sources::orchestration_for(chip, "ranks")).entry(entry);
    sources::packed(builder.name(entry), kernels.to_vec())
}

fn workers(platform: PlatformName, ranks: usize) -> Vec<Worker> {
    (0..ranks).map(|_| open_on(platform)).collect()
}

fn group(workers: &[Worker]) -> CommGroup<'_> {
    CommGroup::new(&workers.iter().collect::<Vec<_>>(), WINDOW).unwrap()
}

/// Runs with one inout tensor of `count` cells; gives them back.
fn run(
    worker: &Worker,
    handle: &CallableHandle,
    count: usize,
    scalars: &[u64],
    config: &RunConfig,
) -> Result<Vec<u64>, RunError> {
    let (cells, scalars) = (vec![SENTINEL; count], scalars.to_vec());
    let mut passed = Cells { cells, scalars, ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells)
}

/// Settings with which a run that hangs ends within a second.
fn short() -> RunConfig {
    RunConfig {
        stall_timeout: Duration::from_millis(200),
        grace: Duration::from_millis(300),
        ..threads(3)
    }
}

/// Every rank gives its values to every rank and waits for theirs, in several rounds, each rank on
/// a thread of its own, with other callables in between.
fn exchanges(platform: PlatformName, ranks: usize) {
    let workers = workers(platform, ranks);
    let group = group(&workers);
    let first = |rank: u64, round: u64| 1000 * (rank + 1) * round;
    std::thread::scope(|scope| {
        for (rank, worker) in (0..).zip(&workers) {
            let group = &group;
            scope.spawn(move || {
                let handle = worker.register(&callable(platform, "exchange")).unwrap();
                let context = group.context(rank).unwrap().raw();
                for round in 1..=6 {
                    let config = threads(1 + (round as u32 + rank) % 4);
                    let scalars = [context, first(rank.into(), round), round];
                    let sums = run(worker, &handle, COUNT as usize, &scalars, &config).unwrap();
                    let all = (0..ranks as u64).map(|rank| first(rank, round)).sum::<u64>();
                    let sum = |cell: u64| all + ranks as u64 * cell;
                    assert!(sums.iter().copied().eq((0..COUNT).map(sum)), "{rank}: {sums:?}");
                    if round % 2 == 0 {
                        assert_works(worker, &config);
                    }
                }
            });
        }
    });
    group.close().unwrap();
}

#[test]
fn two_ranks_on_a2a3_exchange_values_both_ways() {
    exchanges(PlatformName::A2a3Sim, 2);
}

#[test]
fn four_ranks_on_a2a3_exchange_values_both_ways() {
    exchanges(PlatformName::A2a3Sim, 4);
}

#[test]
fn two_ranks_on_a5_exchange_values_both_ways() {
    exchanges(PlatformName::A5Sim, 2);
}

#[test]
fn four_ranks_on_a5_exchange_values_both_ways() {
    exchanges(PlatformName::A5Sim, 4);
}

#[test]
fn a_kernel_sees_its_rank_and_every_window_and_the_host_sees_what_kernels_write() {
    for &platform in PlatformName::SIMULATORS {
        let workers = workers(platform, 3);
        let before: Vec<_> = workers.iter().map(Worker::usage).collect();
        let group = group(&workers);
        assert_eq!((group.ranks(), group.window_bytes()), (3, WINDOW));
        let describe = |rank: u32| {
            let worker = &workers[rank as usize];
            let handle = worker.register(&callable(platform, "describe_rank")).unwrap();
            let context = group.context(rank).unwrap().raw();
            let cells = run(worker, &handle, 5 + 2 * 3, &[context], &threads(2)).unwrap();
            worker.unregister(&handle).unwrap();
            cells
        };
        let head = |rank: u64| [rank, 3, WINDOW as u64, WORK_SPACE_BYTES as u64, 0];
        // Windows are zeroed; then they hold what the host, and what a peer's kernel has written.
        assert_eq!(describe(1), [&head(1)[..], &[0; 6]].concat());
        for rank in 0..3 {
            group.copy_in(rank, 0, &(u64::from(rank) + 7).to_le_bytes()).unwrap();
        }
        assert_eq!(describe(2), [&head(2)[..], &[7, 7, 8, 8, 9, 9]].concat());

        // A window is device memory for its own rank and for its peers.
        let handle = workers[0].register(&callable(platform, "fill_tensor")).unwrap();
        for (rank, first) in [(0, 50), (1, 60)] {
            let data = TensorData::Device(group.window(rank).unwrap());
            let mut arguments = Arguments::new();
            let dtype = DataType::Uint64;
            arguments.push_tensor(TensorArgument { data, dtype, shape: vec![4] }).unwrap();
            arguments.push_scalar(first).unwrap();
            workers[0].run(&handle, &mut arguments, &threads(3)).unwrap();
            let mut bytes = [0; 8];
            group.copy_out(rank, 24, &mut bytes).unwrap();
            assert_eq!(u64::from_le_bytes(bytes), first + 3);
            let address = group.window(rank).unwrap().checked_add(16).unwrap();
            workers[0].copy_out(&mut bytes, address).unwrap();
            assert_eq!(u64::from_le_bytes(bytes), first + 2);
        }
        workers[0].unregister(&handle).unwrap();
        assert_eq!(describe(0), [&head(0)[..], &[50, 50, 60, 60, 9, 9]].concat());

        assert!(workers[0].usage().bytes >= before[0].bytes + WINDOW);
        let window = group.window(0).unwrap();
        group.close().unwrap();
        for (worker, before) in workers.iter().zip(&before) {
            assert_eq!(worker.usage(), *before, "closing the group gives everything back");
            assert!(worker.copy_out(&mut [0; 8], window).is_err(), "the window is gone");
        }
    }
}

#[test]
fn groups_that_make_no_sense_are_refused_and_leave_nothing() {
    let (a, b) = (open_on(PlatformName::A2a3Sim), open_on(PlatformName::A2a3Sim));
    let other = open_on(PlatformName::A5Sim);
    let refused = |workers: &[&Worker], bytes| CommGroup::new(workers, bytes).unwrap_err();
    assert!(matches!(refused(&[], 64), CommError::Ranks { ranks: 0 }));
    assert!(matches!(refused(&[&a; 65], 64), CommError::Ranks { ranks: 65 }));
    let twice = refused(&[&a, &b, &a], 64);
    assert!(matches!(twice, CommError::SameWorker { first: 0, second: 2 }), "{twice}");
    let mixed = refused(&[&a, &other], 64);
    let text = "rank 1 is on a5sim and rank 0 on a2a3sim";
    assert!(mixed.to_string().starts_with(text), "{mixed}");
    assert!(matches!(refused(&[&a, &b], 0), CommError::EmptyWindow));
    for bytes in [usize::MAX, 1 << 62] {
        assert!(matches!(refused(&[&a, &b], bytes), CommError::Window { rank: 0, .. }));
    }
    assert_eq!((a.usage(), b.usage()), (Default::default(), Default::default()));

    let group = CommGroup::new(&[&a, &b], 10).unwrap();
    assert!(matches!(group.context(2), Err(CommError::NoSuchRank { rank: 2, ranks: 2 })));
    assert!(matches!(group.window(u32::MAX), Err(CommError::NoSuchRank { .. })));
    for (offset, bytes) in [(8, 4), (11, 0), (usize::MAX, 2)] {
        let refused = group.copy_in(1, offset, &vec![0; bytes]).unwrap_err();
        assert!(matches!(refused, CommError::OutOfWindow { window: 10, .. }), "{refused}");
        assert!(group.copy_out(1, offset, &mut vec![0; bytes]).is_err());
    }
}

#[test]
fn a_hang_on_one_chip_neither_stops_nor_harms_the_other() {
    for &platform in PlatformName::SIMULATORS {
        let workers = workers(platform, 2);
        let group = group(&workers);
        let flag = Flag::new();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let handle = workers[0].register(&callable(platform, "wait_and_mark")).unwrap();
                let scalars = [group.context(0).unwrap().raw(), flag.address()];
                run(&workers[0], &handle, 1, &scalars, &threads(3))
            });
            for turn in 0..10 {
                assert_works(&workers[1], &threads(1 + turn % 4));
            }
            assert!(!waiting.is_finished(), "the first chip is still in its run");
            flag.set();
            assert_eq!(waiting.join().unwrap().unwrap(), [1]);
        });
        let mut bytes = [0; 8];
        group.copy_out(1, 0, &mut bytes).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), 100);
    }
}

#[test]
fn a_fault_on_one_chip_is_that_chips_alone() {
    for &platform in PlatformName::SIMULATORS {
        let workers = workers(platform, 2);
        let group = group(&workers);
        let mut kernels = sources::cell_kernels();
        kernels.push(sources::kernel(5, CoreType::Aiv, "throws"));
        let failing = ["throws_error", "kernel_throws"]
            .map(|entry| sources::callable("faults", entry, kernels.clone()));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for failing in failing.iter().cycle().take(10) {
                    let handle = workers[0].register(failing).unwrap();
                    for _ in 0..2 {
                        let failed = run(&workers[0], &handle, 1, &[], &threads(3));
                        let Err(RunError::Fault(fault)) = failed else { panic!("{failed:?}") };
                        assert!(
                            fault.text.contains("threw") || fault.text.contains("exception"),
                            "{fault}"
                        );
                    }
                    workers[0].unregister(&handle).unwrap();
                }
            });
            for turn in 0..20 {
                assert_works(&workers[1], &threads(1 + turn % 4));
            }
        });
        assert_works(&workers[0], &threads(3));
        group.close().unwrap();
    }
}

#[test]
fn a_lost_chip_is_named_its_peers_go_on_and_a_new_group_has_it_back() {
    for &platform in PlatformName::SIMULATORS {
        let workers = workers(platform, 2);
        let old = group(&workers);
        old.copy_in(0, 0, &5_u64.to_le_bytes()).unwrap();
        old.copy_in(1, 0, &6_u64.to_le_bytes()).unwrap();
        let flag = Flag::new();
        let handle = workers[1].register(&callable(platform, "wait_and_mark")).unwrap();
        let scalars = [old.context(1).unwrap().raw(), flag.address()];
        let lost = run(&workers[1], &handle, 1, &scalars, &short());
        assert!(matches!(lost, Err(RunError::DeviceLost(_))), "{lost:?}");
        assert_eq!((workers[0].losses(), workers[1].losses()), (0, 1));

        assert!(matches!(old.context(1), Err(CommError::DeviceLost { rank: 1 })));
        assert!(matches!(old.window(1), Err(CommError::DeviceLost { rank: 1 })));
        assert!(old.copy_in(1, 0, &[1]).is_err() && old.copy_out(1, 0, &mut [0]).is_err());
        // The other rank still reads both windows.
        let describe = workers[0].register(&callable(platform, "describe_rank")).unwrap();
        let context = old.context(0).unwrap().raw();
        let cells = run(&workers[0], &describe, 5 + 4, &[context], &threads(2)).unwrap();
        assert_eq!(cells[5..], [5, 5, 6, 6]);
        assert!(matches!(old.close(), Err(CommError::DeviceLost { rank: 1 })));
        assert_eq!(workers[1].usage(), Default::default());

        // The kernel of the lost device wakes up after the group has gone, and writes to windows.
        flag.set();
        while flag.get() != 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_works(&workers[1], &threads(3));
        let new = group(&workers);
        let mut bytes = [9; 8];
        new.copy_out(0, 0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 8], "windows of a new group are zero");
        let scalars = [new.context(1).unwrap().raw(), flag.address()];
        assert_eq!(run(&workers[1], &handle, 1, &scalars, &threads(3)).unwrap(), [1]);
        new.copy_out(0, 0, &mut bytes).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), 101);
        new.close().unwrap();
    }
}

#[test]
fn storage_that_a_cluster_shares_is_not_shared_between_chips() {
    for &platform in PlatformName::SIMULATORS {
        let workers = workers(platform, 3);
        let arrived = AtomicU64::new(0);
        let counter = arrived.as_ptr().expose_provenance() as u64;
        std::thread::scope(|scope| {
            for (worker, value) in workers.iter().zip([11, 22, 33]) {
                scope.spawn(move || {
                    let handle = worker.register(&callable(platform, "use_pipe")).unwrap();
                    let config = RunConfig { block_dim: 1, ..threads(2) };
                    // All three have added their value before any of them looks.
                    let cells = run(worker, &handle, 1, &[counter, 3, value], &config).unwrap();
                    assert_eq!(cells, [value]);
                    // The storage is zero again in the next run.
                    let cells = run(worker, &handle, 1, &[counter, 3, value], &config).unwrap();
                    assert_eq!(cells, [value]);
                });
            }
        });
    }
}

#[test]
fn one_id_names_another_callable_on_every_chip() {
    let (a2a3, a5) = (open_on(PlatformName::A2a3Sim), open_on(PlatformName::A5Sim));
    let chain = sources::callable("graphs", "chain", sources::cell_kernels());
    let spoils = sources::callable("faults", "spoils", sources::cell_kernels());
    let first = a2a3.register(&chain).unwrap();
    let second = a5.register(&spoils).unwrap();
    assert_eq!(first.id(), second.id());
    let mut passed = Cells { input: vec![1], cells: vec![0], scalars: vec![4] };
    for threads in [1, 3, 4].map(threads) {
        passed.cells = vec![0];
        passed.run(&a2a3, &first, &threads).unwrap();
        assert_eq!(passed.cells, [(0..4).fold(0, |state, step| 3 * state + 1 + step)]);
        assert_eq!(run(&a5, &second, 1, &[0], &threads).unwrap(), [666]);
    }
    assert!(matches!(run(&a5, &first, 1, &[0], &threads(3)), Err(RunError::ForeignHandle)));
    a2a3.unregister(&first).unwrap();
    assert_eq!(run(&a5, &second, 1, &[0], &threads(3)).unwrap(), [666]);
}
