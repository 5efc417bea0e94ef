//! Cancelling: what has not begun never runs, what has begun ends as if nobody had asked.

use std::time::Duration;

use host_runner::run::RunError;
use tests::workers::open;

use super::setting::{Held, PATIENCE, cell_at, config, note, noted, register, until};

#[test]
fn what_is_cancelled_before_it_begins_never_runs() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let held = Held::new(&worker);
    let submit = |number| worker.submit(&handle, note(state, number), &config()).unwrap();
    let inflight: Vec<_> = (1..=20).map(submit).collect();
    for completion in inflight.iter().skip(1).step_by(2) {
        assert!(completion.cancel(), "the first time");
        assert!(completion.cancel(), "it stays cancelled");
        assert!(completion.is_done());
    }
    let queue = worker.memory_report().queue;
    assert_eq!((queue.runs, worker.runs_in_flight(&handle)), (11, 10));
    held.release();
    for (number, completion) in (1..=20_u64).zip(inflight) {
        match completion.wait() {
            Ok(_) => assert_eq!(number % 2, 1),
            Err(RunError::Cancelled) => assert_eq!(number % 2, 0),
            other => panic!("{other:?}"),
        }
    }
    // Each run that there was has left its mark.
    assert_eq!(cell_at(&worker, state), noted((1..=20).step_by(2)));
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs), (11, 10));
}

#[test]
fn what_has_begun_is_not_cancelled_and_gives_its_result() {
    let worker = open();
    let held = Held::new(&worker);
    assert!(!held.completion.cancel());
    assert!(!held.completion.cancel());
    held.release();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let done = worker.submit(&handle, note(state, 4), &config()).unwrap();
    until(|| done.is_done());
    assert!(!done.cancel());
    done.wait().unwrap();
    assert_eq!(worker.counters().failed_runs, 0);
}

#[test]
fn a_cancelled_run_keeps_no_unregistration_waiting() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let held = Held::new(&worker);
    let queued = [1, 2].map(|number| worker.submit(&handle, note(state, number), &config()));
    let ended = worker.begin_unregister(&handle).unwrap();
    let ended = ended.wait_for(Duration::from_millis(30)).unwrap_err();
    for completion in queued {
        assert!(completion.unwrap().cancel());
    }
    // The cancellation has given the leases back, and with them the callable.
    ended.try_take().expect("done by the last one that was cancelled").unwrap();
    assert!(handle.is_stale());
    assert!(!held.completion.is_done(), "the run of the other callable was in flight all the time");
    held.release();
}

#[test]
fn a_lease_of_a_held_run_is_waited_for() {
    let worker = open();
    let held = Held::new(&worker);
    let ended = worker.begin_unregister(&held.handle).unwrap();
    let ended = ended.wait_for(Duration::from_millis(30)).unwrap_err();
    held.release();
    ended.wait_for(PATIENCE).unwrap().unwrap();
}

/// Runs of the race below.
const RUNS: u64 = 1200;

#[test]
fn cancelling_and_beginning_decide_each_run_once() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let submit = |number| worker.submit(&handle, note(state, number), &config()).unwrap();
    let inflight: Vec<_> = (0..RUNS).map(submit).collect();
    let mut cancelled = Vec::new();
    for (number, pair) in (1..RUNS).zip(inflight.windows(2)) {
        let [before, completion] = pair else { panic!() };
        // The next one begins about now: when nobody has cancelled it, its turn has come.
        while !before.is_done() {
            std::hint::spin_loop();
        }
        (0..number % 64 * 4).for_each(|_| std::hint::spin_loop());
        cancelled.push(completion.cancel());
    }
    let mut ran = Vec::new();
    for (number, completion) in (0..RUNS).zip(inflight) {
        let was_cancelled = number > 0 && cancelled[number as usize - 1];
        match completion.wait() {
            Ok(_) if !was_cancelled => ran.push(number),
            Err(RunError::Cancelled) if was_cancelled => {}
            other => panic!("{was_cancelled} {other:?}"),
        }
    }
    // One that was cancelled when its turn had just come is told at once, and let go of a moment later.
    until(|| worker.runs_in_flight(&handle) == 0);
    let counters = worker.counters();
    assert_eq!(counters.runs + counters.failed_runs, RUNS);
    assert_eq!(counters.runs, ran.len() as u64);
    assert_eq!(cell_at(&worker, state), noted(ran));
}
