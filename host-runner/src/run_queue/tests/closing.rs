//! Closing and dropping, with all that may be in the queue.

use super::*;

#[test]
fn closing_drops_what_has_not_begun_and_waits_for_what_has() {
    let queue = RunQueue::new(2);
    let log = Log::default();
    let (job, begun, open) = gate();
    queue.submit(1, job).unwrap();
    begun.recv().unwrap();
    let (completion, completer) = Completion::<Result<(), Unfinished>>::new(Err);
    queue.submit(1, Box::new(move |_turn| completer.complete(Ok(())))).unwrap();
    thread::scope(|scope| {
        let caller = scope.spawn(|| queue.turn().map(drop));
        until(|| queue.len() == 3);
        let job = log.job(1);
        let roomless = scope.spawn(|| queue.submit_within(1, job, LONG));
        until(|| queue.shared.lock().room_queue_len() == 1);
        let closer = scope.spawn(|| queue.close());
        assert_eq!(completion.wait(), Err(Unfinished::NeverStarted));
        assert_eq!(caller.join().unwrap(), Err(TurnRefused::Closed));
        let refused = roomless.join().unwrap().unwrap_err();
        assert!(matches!(refused.why, Refusal::Closed), "{refused:?}");
        assert_eq!(queue.turn().map(drop), Err(TurnRefused::Closed));
        let refused = queue.submit(0, log.job(2)).unwrap_err();
        assert!(matches!(refused.why, Refusal::Closed), "{refused:?}");
        assert!(!closer.is_finished(), "the turn in progress is not over");
        assert_eq!((queue.len(), queue.held_bytes()), (1, 1));
        open.send(()).unwrap();
        closer.join().unwrap();
    });
    assert_eq!((queue.len(), queue.held_bytes()), (0, 0));
    queue.close();
    drop(queue);
    assert!(log.entries().is_empty(), "nothing began after the close");
}

#[test]
fn closing_waits_for_a_caller_and_not_for_the_own_turn() {
    let queue = RunQueue::new(0);
    let turn = queue.turn().unwrap();
    queue.close();
    thread::scope(|scope| {
        let closer = scope.spawn(|| queue.close());
        // Too short to be sure that it waits; long enough to see most of the time that it does not.
        thread::park_timeout(Duration::from_millis(5));
        assert!(!closer.is_finished());
        drop(turn);
        closer.join().unwrap();
    });
}

/// As a waker does that drops the last handle of a worker, while a caller runs something.
#[test]
fn closing_on_the_driver_waits_for_a_callers_turn() {
    let queue = Arc::new(RunQueue::new(1));
    let (end, turn_ended) = mpsc::channel();
    let (begin, callers_turn) = mpsc::channel();
    let (close, closed) = mpsc::channel();
    let own = Arc::clone(&queue);
    let job: Job = Box::new(move |turn| {
        drop(turn);
        end.send(()).unwrap();
        callers_turn.recv().unwrap();
        own.close();
        close.send(()).unwrap();
    });
    queue.submit(1, job).unwrap();
    turn_ended.recv().unwrap();
    let turn = queue.turn().unwrap();
    begin.send(()).unwrap();
    // Too short to be sure that it waits; long enough to see most of the time that it does not.
    assert!(closed.recv_timeout(Duration::from_millis(5)).is_err());
    drop(turn);
    closed.recv_timeout(LONG).unwrap();
}

#[test]
fn dropping_waits_for_the_job_in_progress_and_its_thread() {
    let queue = RunQueue::new(1);
    let (job, begun, open) = gate();
    let done = Arc::new(AtomicU32::new(0));
    let ended = Arc::clone(&done);
    let job: Job = Box::new(move |turn| {
        job(turn);
        // After its turn: only the end of the thread says that this is done.
        thread::park_timeout(Duration::from_millis(5));
        // ORDERING: Relaxed: the join orders it.
        ended.store(1, Ordering::Relaxed);
    });
    queue.submit(1, job).unwrap();
    begun.recv().unwrap();
    open.send(()).unwrap();
    drop(queue);
    // ORDERING: Relaxed: after the join.
    assert_eq!(done.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&done), 1, "the job and its thread are gone");
}

#[test]
fn the_last_handle_may_go_in_a_job_of_its_own_queue() {
    let queue = Arc::new(RunQueue::new(2));
    let shared = Arc::downgrade(&queue.shared);
    let (completion, completer) = Completion::<Result<(), Unfinished>>::new(Err);
    let (begin, begun) = mpsc::channel();
    let last = Arc::clone(&queue);
    let job: Job = Box::new(move |_turn| {
        begun.recv().unwrap();
        drop(last);
    });
    queue.submit(1, job).unwrap();
    queue.submit(1, Box::new(move |_turn| completer.complete(Ok(())))).unwrap();
    drop(queue);
    begin.send(()).unwrap();
    let outcome = completion.wait_for(LONG).unwrap();
    assert_eq!(outcome, Err(Unfinished::NeverStarted), "the drop closed the queue");
    until(|| shared.strong_count() == 0);
}

/// The thread that waits for room has not woken yet when the room comes.
#[test]
fn room_that_closing_makes_is_for_nobody() {
    let queue = RunQueue::new(1);
    let turn = queue.turn().unwrap();
    queue.submit(1, nothing()).unwrap();
    let called = Arc::new(Condvar::new());
    let ticket = queue.shared.lock().enter_room_queue(1, nothing(), called);
    queue.close();
    drop(turn);
    let mut line = queue.shared.lock();
    assert!(line.waits_for_room(ticket));
    let refused = line.leave_room_queue(ticket).unwrap_err();
    drop(line);
    assert!(matches!(refused.why, Refusal::Closed), "{refused:?}");
    assert_eq!((queue.len(), queue.held_bytes()), (0, 0));
}
