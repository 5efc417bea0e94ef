//! Ids, waits and threads (spec callable §7.3): who asks what when, and what everybody gets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::callable::Callable;
use host_runner::device::DeviceUsage;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, RegisterError, RunCompletion, Worker};
use protocol::{CallableId, ChipName, MAX_REGISTERED_CALLABLE_IDS, StatusCode};
use tests::life::{Life, go_on, wait_here};
use tests::prepared::{cells_after, on_both_chips, testimony, witness};
use tests::sources;
use tests::workers::{Cells, SENTINEL, assert_works, fork_join, threads};

#[test]
fn p1_ids_come_back_in_every_way_in_which_a_registration_can_end() {
    on_both_chips(|worker, platform| {
        let callable = witness(platform.chip(), 1, "fill");
        let bad = Callable::builder(sources::witness_for(platform.chip(), 1)).entry("none");
        let bad = sources::packed(bad, Vec::new());
        let id = |index: i64| CallableId::new(index).unwrap();
        let chosen = worker.register_as(id(1), &callable).unwrap();
        // More than the reference has ids, by unregistering, by dropping and by failing.
        for round in 0..MAX_REGISTERED_CALLABLE_IDS + 10 {
            let handle = worker.register(&callable).unwrap();
            assert_eq!(handle.id().index(), 0, "round {round}");
            assert!(worker.register(&bad).is_err());
            match worker.register_as(handle.id(), &callable) {
                Err(RegisterError::IdInUse { .. }) => {}
                other => panic!("{other:?}"),
            }
            if round % 2 == 0 {
                worker.unregister(&handle).unwrap();
            }
        }
        // Ids of the caller's choice and others do not collide.
        let handles: Vec<_> = (0..3).map(|_| worker.register(&callable).unwrap()).collect();
        assert!(handles.iter().map(|handle| handle.id().index()).eq([0, 2, 3]));
        for handle in handles.iter().chain([&chosen]) {
            assert_eq!(cells_after(worker, handle)[0], testimony(1, 1));
        }
    });
}

/// Submits a run of [`Life`]'s callable.
fn submit(worker: &Worker, handle: &CallableHandle) -> RunCompletion {
    let mut arguments = OwnedArguments::new();
    arguments.push_inout(&[SENTINEL], &[1]).unwrap();
    worker.submit(handle, arguments, &threads(3)).unwrap()
}

/// A callable whose run is in its entry and waits there for the test.
fn held_run(worker: &Worker, chip: ChipName) -> (Life, CallableHandle, RunCompletion) {
    let life = Life::new();
    let handle = worker.register(&life.callable_for(chip)).unwrap();
    wait_here(&life.steps().hold_entry);
    let run = submit(worker, &handle);
    life.wait_for_entry(1);
    (life, handle, run)
}

#[test]
fn p3_every_wait_has_a_limit_and_tells_when_it_is_over() {
    on_both_chips(|worker, platform| {
        let (life, handle, run) = held_run(worker, platform.chip());
        // For a run, for an unregistration, and for what waits behind it.
        let start = Instant::now();
        let run = run.wait_for(Duration::from_millis(40)).expect_err("it waits for this test");
        let behind = submit(worker, &handle);
        let behind = behind.wait_for(Duration::from_millis(40)).expect_err("it waits, too");
        let ended = worker.begin_unregister(&handle).unwrap();
        let ended = ended.wait_for(Duration::from_millis(40)).expect_err("it waits for the runs");
        assert!(start.elapsed() >= Duration::from_millis(120));
        go_on(&life.steps().hold_entry);
        run.wait().unwrap();
        behind.wait().unwrap();
        ended.wait().unwrap();

        // A run itself has a limit, whatever its code does.
        let handle = worker.register(&life.callable_for(platform.chip())).unwrap();
        wait_here(&life.steps().hold_entry);
        let limit = Duration::from_millis(150);
        let config = RunConfig { timeout: limit, grace: limit, ..threads(3) };
        let start = Instant::now();
        let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
        let end = passed.run(worker, &handle, &config);
        assert!(matches!(end, Err(RunError::DeviceLost(_))), "{end:?}");
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        go_on(&life.steps().hold_entry);
        assert_works(worker, &threads(3));
    });
}

/// What one thread does while others do the same: its own callables, its own results.
fn use_worker(worker: &Worker, chip: protocol::ChipName, number: u64, rounds: u64) {
    let callable =
        witness(chip, number, if number.is_multiple_of(2) { "fill" } else { "fill_down" });
    for round in 0..rounds {
        let handle = worker.register(&callable).unwrap();
        for run in 1..4 {
            let second = cells_after(worker, &handle)[1];
            let first = testimony(number, run);
            let expected = if number.is_multiple_of(2) { first + 1 } else { first - 1 };
            assert_eq!(second, expected, "round {round}");
        }
        worker.unregister(&handle).unwrap();
    }
}

/// Ends the work of other threads, also where this one panics.
struct Over(AtomicBool);

impl Over {
    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says so when it is dropped.
struct Ending<'o>(&'o Over);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// The reference's controls write to the mailbox that a dispatch of another thread is using.
#[test]
fn p4_registering_from_one_thread_and_running_from_others_do_not_meet() {
    on_both_chips(|worker, platform| {
        let kernels = sources::cell_kernels_for(platform.chip());
        let callable = sources::callable_for(platform.chip(), "graphs", "fork_join", kernels);
        let running = worker.register(&callable).unwrap();
        let over = Over(AtomicBool::new(false));
        thread::scope(|scope| {
            let runs = [3_u64, 5].map(|seed| {
                let (running, over) = (&running, &over);
                scope.spawn(move || {
                    let mut runs = 0;
                    while !over.is_over() || runs < 5 {
                        let input: Vec<u64> = (0..20).map(|cell| seed * 100 + cell).collect();
                        let expected = fork_join(&input, seed);
                        let cells = vec![SENTINEL; 20];
                        let mut passed = Cells { input, cells, scalars: vec![seed] };
                        passed.run(worker, running, &threads(3)).unwrap();
                        assert_eq!(passed.cells, expected);
                        runs += 1;
                    }
                })
            });
            let ending = Ending(&over);
            use_worker(worker, platform.chip(), 2, 15);
            drop(ending);
            runs.into_iter().for_each(|run| run.join().unwrap());
        });
        worker.unregister(&running).unwrap();
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

#[test]
fn p5_a_callable_is_registered_and_taken_away_while_a_run_of_another_is_in_flight() {
    on_both_chips(|worker, platform| {
        let (life, _handle, run) = held_run(worker, platform.chip());
        // The run waits for this test, so all of this happens beside it.
        let late = worker.register(&witness(platform.chip(), 4, "fill")).unwrap();
        worker.unregister(&worker.register(&witness(platform.chip(), 5, "fill")).unwrap()).unwrap();
        let memory = worker.allocate(64).unwrap();
        assert!(!run.is_done());
        go_on(&life.steps().hold_entry);
        run.wait().unwrap();
        assert_eq!(cells_after(worker, &late)[0], testimony(4, 1));
        worker.free(memory).unwrap();
    });
}

/// The most that a run takes, on both ways; the reference's mailbox is too small for it.
#[test]
fn p6_sixty_four_tensors_and_a_hundred_and_twenty_eight_scalars_arrive() {
    on_both_chips(|worker, platform| {
        let kernels = sources::cell_kernels_for(platform.chip());
        let callable = sources::callable_for(platform.chip(), "holes", "fills_all", kernels);
        let handle = worker.register(&callable).unwrap();
        let mut tensors = vec![[SENTINEL; 1]; 64];
        let mut arguments = Arguments::new();
        let mut owned = OwnedArguments::new();
        for tensor in &mut tensors {
            arguments.push_output(tensor, &[1]).unwrap();
            owned.push_output::<u64>(&[1]).unwrap();
        }
        for scalar in 0..128 {
            arguments.push_scalar(7000 + scalar).unwrap();
            owned.push_scalar(8000 + scalar).unwrap();
        }
        assert!(arguments.push_scalar(0).is_err() && owned.push_scalar(0).is_err());
        worker.run(&handle, &mut arguments, &threads(3)).unwrap();
        assert!(tensors.iter().zip(0..).all(|(cells, i)| cells[0] == 7127 + 1000 * i));
        let output = worker.submit(&handle, owned, &threads(3)).unwrap().wait().unwrap();
        let cell = |i: usize| output.arguments.elements::<u64>(i).unwrap()[0];
        assert!((0..64).all(|i| cell(i) == 8127 + 1000 * i as u64));
    });
}

/// Anything from any thread at the same time.
#[test]
fn r13_threads_share_a_worker_without_a_lock_of_their_own() {
    on_both_chips(|worker, platform| {
        thread::scope(|scope| {
            for number in 2..4 {
                scope.spawn(move || use_worker(worker, platform.chip(), number, 10));
            }
            for pattern in 1..3_u8 {
                scope.spawn(move || {
                    for round in 0..60 {
                        let bytes = vec![pattern.wrapping_add(round); 100 + usize::from(round)];
                        let address = worker.allocate(bytes.len()).unwrap();
                        worker.copy_in(address, &bytes).unwrap();
                        let mut back = vec![0; bytes.len()];
                        worker.copy_out(&mut back, address).unwrap();
                        assert_eq!(back, bytes);
                        worker.free(address).unwrap();
                        let _looked_at =
                            (worker.usage(), worker.memory_report(), worker.counters());
                    }
                });
            }
        });
        assert_eq!(worker.usage(), DeviceUsage::default());
        assert_eq!((worker.counters().runs, worker.counters().failed_runs), (60, 0));
    });
}

/// A status is negative, whatever number ends a run, and never a number alone.
#[test]
fn r12_every_status_is_negative_and_comes_with_a_text() {
    on_both_chips(|worker, platform| {
        let kernels = sources::cell_kernels_for(platform.chip());
        let callable = sources::callable_for(platform.chip(), "holes", "ends_with", kernels);
        let handle = worker.register(&callable).unwrap();
        let own = [4711, -4711, i32::MAX, i32::MIN, -1, 507_018];
        let known = StatusCode::ALL.iter().filter(|code| !code.is_success()).map(|it| it.code());
        for number in own.into_iter().chain(known) {
            // CAST: the orchestration takes the lower half.
            let scalars = vec![i64::from(number) as u64];
            let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
            let fault = tests::workers::fault(passed.run(worker, &handle, &threads(3)));
            assert!(fault.status < 0, "{number}: {fault}");
            assert!(number < 0 || fault.status == -number, "{number}: {fault}");
            assert!(fault.text.contains("as asked for"), "{number}: {fault}");
            assert!(!fault.meaning().is_empty() && !fault.remedy().is_empty());
        }
        assert_works(worker, &threads(3));
    });
}
