//! Unregistering while runs are in flight: it refuses new ones at once, lets accepted ones end, closes
//! the orchestration then and gives everything back.

use std::thread;
use std::time::{Duration, Instant};

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::device::DeviceUsage;
use host_runner::run::RunError;
use host_runner::worker::{PlatformName, RunCompletion, SubmitRefusal};
use tests::flag::Flag;
use tests::script::{At, Script, player_for};
use tests::workers::SENTINEL;

use super::setting::{BYTES, HOST, Stand, config};

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs whose only task waits for a flag, the first of them in its kernel.
fn two_runs(stand: &Stand, flag: &Flag) -> [RunCompletion; 2] {
    let script = Script::new().malloc(0, BYTES).record(HOST, At::Memory(0, 0), 8);
    let script = script.hold(At::Memory(0, 0), flag);
    let submit =
        || stand.worker.submit(&stand.handle, script.owned(&[SENTINEL; 2]), &config()).unwrap();
    let runs = [submit(), submit()];
    let start = Instant::now();
    while flag.get() != 2 {
        assert!(start.elapsed() < LIMIT, "the kernel was not called");
        thread::yield_now();
    }
    assert_eq!(stand.worker.runs_in_flight(&stand.handle), 2);
    runs
}

#[track_caller]
fn assert_ended_well(run: RunCompletion) {
    let output = run.wait_for(LIMIT).expect("it ends").unwrap();
    assert_eq!(output.arguments.elements::<u64>(1).unwrap(), [1, SENTINEL]);
}

/// New runs are refused in every way in which they can be asked for, and without waiting.
#[track_caller]
fn assert_refuses(stand: &Stand) {
    let Stand { worker, handle } = stand;
    assert!(handle.is_stale());
    let ran = worker.run(handle, &mut Arguments::new(), &config());
    assert!(matches!(ran, Err(RunError::StaleCallable(_))), "{ran:?}");
    let submitted = worker.submit(handle, OwnedArguments::new(), &config()).err().unwrap();
    let refusal = submitted.why;
    assert!(matches!(refusal, SubmitRefusal::Run(RunError::StaleCallable(_))), "{refusal:?}");
    let bound = worker.bind(handle, OwnedArguments::new(), &config());
    assert!(matches!(bound, Err(RunError::StaleCallable(_))));
}

#[test]
fn unregistering_waits_for_what_was_accepted_and_refuses_the_rest_at_once() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let flag = Flag::new();
        let runs = two_runs(&stand, &flag);
        thread::scope(|scope| {
            let unregistering = scope.spawn(|| stand.worker.unregister(&stand.handle));
            while !stand.handle.is_stale() {
                thread::yield_now();
            }
            assert_refuses(&stand);
            thread::sleep(Duration::from_millis(30));
            assert!(!unregistering.is_finished(), "two runs were accepted before");
            // Another callable is registered meanwhile; it gets another id.
            let other = stand.worker.register(&player_for(platform.chip())).unwrap();
            assert_ne!(other.id(), stand.handle.id());
            flag.set();
            unregistering.join().unwrap().unwrap();
            stand.worker.unregister(&other).unwrap();
        });
        runs.into_iter().for_each(assert_ended_well);
        assert_eq!(stand.worker.usage(), DeviceUsage::default());
        let counters = stand.worker.counters();
        assert_eq!((counters.host_dlopen_count, counters.unregistrations), (2, 2));
    }
}

#[test]
fn the_last_handle_that_goes_takes_the_callable_away_after_its_runs() {
    let stand = Stand::open();
    let flag = Flag::new();
    let runs = two_runs(&stand, &flag);
    let Stand { worker, handle } = stand;
    drop(handle);
    assert_ne!(worker.usage(), DeviceUsage::default());
    flag.set();
    runs.into_iter().for_each(assert_ended_well);
    let start = Instant::now();
    while worker.usage() != DeviceUsage::default() {
        assert!(start.elapsed() < LIMIT, "{:?}", worker.usage());
        thread::yield_now();
    }
    // And the id is free.
    let stand = Stand::of(worker);
    assert_eq!(stand.handle.id().index(), 0);
    stand.assert_works(1);
}

#[test]
fn a_worker_that_is_dropped_with_runs_in_flight_waits_for_the_one_that_has_begun() {
    let stand = Stand::open();
    let flag = Flag::new();
    let [first, second] = two_runs(&stand, &flag);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            flag.set();
        });
        drop(stand);
    });
    assert_ended_well(first);
    let refused = second.wait_for(LIMIT).expect("it ends");
    assert!(matches!(refused, Err(RunError::Closed)), "{refused:?}");
}

#[test]
fn registering_running_and_unregistering_from_many_threads_do_not_meet() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let callable = player_for(platform.chip());
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..15 {
                        let handle = stand.worker.register(&callable).unwrap();
                        let mut cells = [round; super::setting::COUNT as usize];
                        let script = super::setting::diamond(round);
                        let played = script.run(&stand.worker, &handle, &config(), &mut cells);
                        played.result.unwrap();
                        assert_eq!(cells, [16 * round + 5 * round + 3; 8]);
                        stand.worker.unregister(&handle).unwrap();
                    }
                });
            }
            (0..30).for_each(|round| {
                stand.assert_works(round);
            });
        });
        let counters = stand.worker.counters();
        assert_eq!((counters.registrations, counters.host_dlopen_count), (46, 46));
        stand.worker.unregister(&stand.handle).unwrap();
        assert_eq!(stand.worker.usage(), DeviceUsage::default());
    }
}
