//! Unregistering while runs are in flight: it refuses new ones at once, lets accepted ones end, and
//! gives everything back then.

use std::thread;
use std::time::Duration;

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::device::DeviceUsage;
use host_runner::run::RunError;
use host_runner::worker::{CallableHandle, RunCompletion, SubmitRefusal, Worker};
use tests::life::{Life, go_on, wait_here};
use tests::workers::{SENTINEL, assert_works, threads};

use tests::prepared::on_both_chips;

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Submits a run, which fills two cells with 7 and 8.
fn submit(worker: &Worker, handle: &CallableHandle) -> RunCompletion {
    let mut arguments = OwnedArguments::new();
    arguments.push_inout(&[SENTINEL; 2], &[2]).unwrap();
    worker.submit(handle, arguments, &threads(3)).unwrap()
}

#[track_caller]
fn assert_ended_well(run: RunCompletion) {
    let output = run.wait_for(LIMIT).expect("it ends").unwrap();
    assert_eq!(output.arguments.elements::<u64>(0).unwrap(), [7, 8]);
}

/// New runs are refused in every way in which they can be asked for, and without waiting.
#[track_caller]
fn assert_refuses(worker: &Worker, handle: &CallableHandle) {
    assert!(handle.is_stale());
    let ran = worker.run(handle, &mut Arguments::new(), &threads(3));
    assert!(matches!(ran, Err(RunError::StaleCallable(_))), "{ran:?}");
    let submitted = worker.submit(handle, OwnedArguments::new(), &threads(3)).err().unwrap();
    let refusal = submitted.why;
    assert!(matches!(refusal, SubmitRefusal::Run(RunError::StaleCallable(_))), "{refusal:?}");
    let bound = worker.bind(handle, OwnedArguments::new(), &threads(3));
    assert!(matches!(bound, Err(RunError::StaleCallable(_))));
}

/// A run that is in its entry, and one that was accepted behind it.
fn with_two_runs(worker: &Worker, handle: &CallableHandle, life: &Life) -> [RunCompletion; 2] {
    wait_here(&life.steps().hold_entry);
    let runs = [(); 2].map(|()| submit(worker, handle));
    life.wait_for_entry(1);
    assert_eq!(worker.runs_in_flight(handle), 2);
    runs
}

#[test]
fn unregistering_waits_for_what_was_accepted_and_refuses_the_rest_at_once() {
    on_both_chips(|worker, platform| {
        let life = Life::new();
        let handle = worker.register(&life.callable_for(platform.chip())).unwrap();
        let runs = with_two_runs(worker, &handle, &life);
        thread::scope(|scope| {
            let unregistering = scope.spawn(|| worker.unregister(&handle));
            while !handle.is_stale() {
                thread::yield_now();
            }
            assert_refuses(worker, &handle);
            thread::sleep(Duration::from_millis(30));
            assert!(!unregistering.is_finished(), "two runs were accepted before");
            assert_eq!(life.counts(), [1, 1, 0], "its code stays meanwhile");
            go_on(&life.steps().hold_entry);
            unregistering.join().unwrap().unwrap();
        });
        assert_eq!(life.counts(), [1, 2, 1]);
        runs.into_iter().for_each(assert_ended_well);
        assert_eq!(worker.usage(), DeviceUsage::default());
        assert_works(worker, &threads(3));
    });
}

#[test]
fn begin_unregister_returns_at_once_and_its_completion_tells_the_end() {
    on_both_chips(|worker, platform| {
        let life = Life::new();
        let handle = worker.register(&life.callable_for(platform.chip())).unwrap();
        let runs = with_two_runs(worker, &handle, &life);
        let ended = worker.begin_unregister(&handle).unwrap();
        assert_refuses(worker, &handle);
        assert!(worker.begin_unregister(&handle).is_err(), "the second time is an answer");
        assert!(!ended.is_done());
        // The id is not free before everything was given back.
        let other = worker.register(&life.callable_for(platform.chip())).unwrap();
        assert_ne!(other.id(), handle.id());
        worker.unregister(&other).unwrap();
        go_on(&life.steps().hold_entry);
        ended.wait_for(LIMIT).expect("it ends").unwrap();
        runs.into_iter().for_each(assert_ended_well);
        assert_eq!(life.counts(), [2, 2, 2]);
        assert_eq!(worker.usage(), DeviceUsage::default());
        let again = worker.register(&life.callable_for(platform.chip())).unwrap();
        assert_eq!(again.id(), handle.id());
    });
}

#[test]
fn dropping_the_last_handle_unregisters_after_the_runs_that_were_accepted() {
    on_both_chips(|worker, platform| {
        let life = Life::new();
        let handle = worker.register(&life.callable_for(platform.chip())).unwrap();
        let copy = handle.clone();
        let runs = with_two_runs(worker, &handle, &life);
        drop(handle);
        assert!(!copy.is_stale(), "there is another handle");
        drop(copy);
        assert_eq!(life.counts(), [1, 1, 0]);
        go_on(&life.steps().hold_entry);
        runs.into_iter().for_each(assert_ended_well);
        // The last run's end gives everything back, on the thread that carried it out.
        let start = std::time::Instant::now();
        while worker.counters().unregistrations == 0 {
            assert!(start.elapsed() < LIMIT);
            thread::yield_now();
        }
        assert_eq!(life.counts(), [1, 2, 1]);
        assert_eq!(worker.usage(), DeviceUsage::default());
    });
}

/// What another callable does is nobody's business: unregistering one does not wait for the run of
/// another.
#[test]
fn unregistering_does_not_wait_for_runs_of_others() {
    on_both_chips(|worker, platform| {
        let (life, other) = (Life::new(), Life::new());
        let running = worker.register(&life.callable_for(platform.chip())).unwrap();
        let idle = worker.register(&other.callable_for(platform.chip())).unwrap();
        let runs = with_two_runs(worker, &running, &life);
        let ended = worker.begin_unregister(&idle).unwrap();
        ended.wait_for(LIMIT).expect("the other run waits for this test").unwrap();
        assert_eq!((other.counts(), life.counts()), ([1, 0, 1], [1, 1, 0]));
        go_on(&life.steps().hold_entry);
        runs.into_iter().for_each(assert_ended_well);
    });
}
