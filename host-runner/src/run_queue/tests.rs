//! The order of turns and jobs, the bound on bytes, closing and reentry.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::*;
use crate::completion::{Completion, Unfinished};

/// A job of the tests.
type Job = Box<dyn FnOnce(Turn<'_>) + Send>;

impl super::Job for Job {
    fn carry_out(self, turn: Turn<'_>) {
        self(turn);
    }
}

type RunQueue = super::RunQueue<Job>;
type Refused = super::Refused<Job>;

mod closing;
mod order;
mod without_jobs;

/// Long enough for any thread of a busy machine; no test that passes waits for it.
const LONG: Duration = Duration::from_secs(60);

/// What was done, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    fn note(&self, what: u32) {
        self.0.lock().unwrap().push(what);
    }

    /// A job that notes a number.
    fn job(&self, what: u32) -> Job {
        let log = self.clone();
        Box::new(move |_turn| log.note(what))
    }

    fn entries(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

/// A job that says that it has begun, and ends when it is told to.
fn gate() -> (Job, Receiver<()>, Sender<()>) {
    let (begin, begun) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    let job = Box::new(move |_turn: Turn<'_>| {
        begin.send(()).unwrap();
        opened.recv().unwrap();
    });
    (job, begun, open)
}

/// Waits until `condition` holds, which another thread is about to make true.
fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it never came");
        thread::yield_now();
    }
}

fn nothing() -> Job {
    Box::new(|turn| drop(turn))
}

/// Who is refused, and with which text.
fn refusal(result: Result<Ticket, Refused>) -> String {
    result.unwrap_err().why.to_string()
}

#[test]
fn jobs_hold_bytes_up_to_the_limit_and_no_more() {
    let queue = RunQueue::new(10);
    let turn = queue.turn().unwrap();
    let log = Log::default();
    queue.submit(4, log.job(1)).unwrap();
    let text = "a submission of 7 bytes has no room: 4 of 10 bytes are held";
    let refused = queue.submit(7, log.job(2)).unwrap_err();
    assert_eq!(refused.why.to_string(), text);
    queue.submit(6, log.job(3)).unwrap();
    let text = "a submission of 1 bytes has no room: 10 of 10 bytes are held";
    assert_eq!(refusal(queue.submit(1, nothing())), text);
    let text = "a submission of 11 bytes is larger than the limit of 10 bytes for all";
    assert_eq!(refusal(queue.submit(11, nothing())), text);
    assert_eq!(refusal(queue.submit_within(11, nothing(), LONG)), text);
    let full = QueueUsage {
        len: 3,
        len_high_water: 3,
        held_bytes: 10,
        held_bytes_high_water: 10,
        limit_bytes: 10,
    };
    assert_eq!(queue.usage(), full);
    drop(turn);
    drop(queue.turn().unwrap());
    assert_eq!(queue.usage(), QueueUsage { len: 0, held_bytes: 0, ..full });
    queue.submit(10, refused.job).unwrap();
    drop(queue.turn().unwrap());
    assert_eq!(log.entries(), [1, 3, 2], "the refused job was given back whole");
}

#[test]
fn who_learns_that_a_job_is_done_finds_its_bytes_given_back() {
    let queue = RunQueue::new(1);
    for round in 0..2000 {
        let (completion, completer) = Completion::<Result<u32, Unfinished>>::new(Err);
        let job: Job = Box::new(move |turn| {
            assert!(completer.start());
            drop(turn);
            completer.complete(Ok(round));
        });
        queue.submit(1, job).unwrap();
        assert_eq!(completion.wait(), Ok(round));
    }
}

#[test]
fn a_forgotten_job_gives_its_bytes_back_at_once_and_never_runs() {
    let queue = RunQueue::new(2);
    let turn = queue.turn().unwrap();
    let log = Log::default();
    let first = queue.submit(1, log.job(1)).unwrap();
    let (completion, completer) = Completion::<Result<(), Unfinished>>::new(Err);
    let second = queue.submit(1, Box::new(move |_turn| completer.complete(Ok(())))).unwrap();
    assert!(queue.forget(second));
    assert_eq!((queue.held_bytes(), queue.len()), (1, 2));
    assert_eq!(completion.wait(), Err(Unfinished::NeverStarted));
    assert!(!queue.forget(second), "it is not there any more");
    queue.submit(1, log.job(3)).unwrap();
    drop(turn);
    drop(queue.turn().unwrap());
    assert!(!queue.forget(first), "it is done");
    assert_eq!((log.entries(), queue.held_bytes()), (vec![1, 3], 0));
}

#[test]
fn forgetting_what_the_driver_has_not_come_to_calls_the_next() {
    let queue = RunQueue::new(2);
    let (begin, begun) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    // The turn of this one ends, and the driver is held up after it.
    let job: Job = Box::new(move |turn| {
        drop(turn);
        begin.send(()).unwrap();
        opened.recv().unwrap();
    });
    queue.submit(1, job).unwrap();
    begun.recv().unwrap();
    let ticket = queue.submit(1, nothing()).unwrap();
    thread::scope(|scope| {
        let caller = scope.spawn(|| queue.turn().map(drop));
        until(|| queue.len() == 2);
        assert!(queue.forget(ticket));
        assert_eq!(caller.join().unwrap(), Ok(()));
        open.send(()).unwrap();
    });
}

#[test]
fn room_goes_to_those_who_wait_first_come_first_served() {
    let queue = RunQueue::new(4);
    let log = Log::default();
    let turn = queue.turn().unwrap();
    queue.submit(3, log.job(0)).unwrap();
    thread::scope(|scope| {
        let waits = |bytes, what, before: usize| {
            let (job, queue) = (log.job(what), &queue);
            let waiter = scope.spawn(move || queue.submit_within(bytes, job, LONG).map(drop));
            until(|| queue.shared.lock().room_queue_len() == before + 1);
            waiter
        };
        let waiters = [waits(4, 1, 0), waits(1, 2, 1), waits(3, 3, 2)];
        let text = "a submission of 1 bytes has no room: 3 of 4 bytes are held";
        assert_eq!(refusal(queue.submit(1, nothing())), text, "those who wait come first");
        drop(turn);
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
    });
    drop(queue.turn().unwrap());
    assert_eq!(log.entries(), [0, 1, 2, 3]);
    assert_eq!(queue.usage().held_bytes_high_water, 4);
}

#[test]
fn who_gives_up_waiting_for_room_lets_the_next_in() {
    let queue = RunQueue::new(4);
    let log = Log::default();
    let turn = queue.turn().unwrap();
    queue.submit(3, log.job(0)).unwrap();
    let text = "a submission of 2 bytes has no room: 3 of 4 bytes are held";
    assert_eq!(
        refusal(queue.submit_within(2, nothing(), Duration::ZERO)),
        "this thread carries out a run, or tells of its end, and cannot wait for room"
    );
    thread::scope(|scope| {
        let impatient = scope.spawn(|| {
            let limit = Duration::from_millis(20);
            refusal(queue.submit_within(2, nothing(), limit))
        });
        until(|| queue.shared.lock().room_queue_len() == 1 || impatient.is_finished());
        let small = scope.spawn(|| queue.submit_within(1, log.job(1), LONG).map(drop));
        assert_eq!(impatient.join().unwrap(), text);
        small.join().unwrap().unwrap();
    });
    drop(turn);
    drop(queue.turn().unwrap());
    assert_eq!(log.entries(), [0, 1]);
}

#[test]
fn a_job_that_panics_stops_neither_the_driver_nor_its_waiter() {
    struct Trap;
    impl Drop for Trap {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    let queue = RunQueue::new(1);
    let log = Log::default();
    let (completion, completer) = Completion::<Result<(), Unfinished>>::new(Err);
    let job: Job = Box::new(move |_turn| {
        assert!(completer.start());
        // Without the message of a panic, and with a payload that panics again.
        std::panic::resume_unwind(Box::new(Trap));
    });
    queue.submit(1, job).unwrap();
    assert_eq!(completion.wait(), Err(Unfinished::Abandoned));
    queue.submit_within(1, log.job(1), LONG).unwrap();
    drop(queue.turn().unwrap());
    assert_eq!((log.entries(), queue.held_bytes()), (vec![1], 0));
}

#[test]
fn who_has_the_turn_is_refused_another_instead_of_waiting_for_itself() {
    let queue = Arc::new(RunQueue::new(1));
    let turn = queue.turn().unwrap();
    assert_eq!(queue.turn().unwrap_err(), TurnRefused::Reentered);
    queue.submit(1, nothing()).unwrap();
    let refused = queue.submit_within(1, nothing(), LONG).unwrap_err();
    assert!(matches!(refused.why, Refusal::Reentered), "{refused:?}");
    assert!(!queue.is_driver_thread());
    drop(turn);

    let (answer, answers) = mpsc::channel();
    let inside = Arc::downgrade(&queue);
    let job: Job = Box::new(move |turn| {
        let queue = inside.upgrade().unwrap();
        answer.send((queue.is_driver_thread(), queue.turn().map(drop))).unwrap();
        // A job may submit, and after its turn it is still on the driver.
        drop(turn);
        let last = answer.clone();
        let job: Job = Box::new(move |_turn| last.send((true, Ok(()))).unwrap());
        queue.submit(0, job).unwrap();
        answer.send((queue.is_driver_thread(), queue.turn().map(drop))).unwrap();
    });
    queue.submit_within(1, job, LONG).unwrap();
    let refused = (true, Err(TurnRefused::Reentered));
    let got: Vec<_> = (0..3).map(|_| answers.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(got, [refused, refused, (true, Ok(()))]);
}

#[test]
fn every_refusal_says_what_is_wrong() {
    let error = io::Error::other("no more threads");
    assert_eq!(
        Refusal::NoDriver(error).to_string(),
        "the thread that carries out submissions cannot be started"
    );
    let refused = Refused { why: Refusal::Closed, job: nothing() };
    assert_eq!(format!("{refused:?}"), "Refused { why: Closed, .. }");
}
