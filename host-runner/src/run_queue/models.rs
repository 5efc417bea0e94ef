//! All interleavings of turns, jobs, cancellation and closing, with a bound on preemptions where the
//! driver takes part.
//!
//! Loom stops a model in which a thread is left behind, because then all threads are blocked; the
//! queue's drop joins the driver, so that a driver which does not end is one too.

use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::*;
use crate::completion::{Completion, OnCancel, Unfinished};

/// A job of the models.
type Job = Box<dyn FnOnce(Turn<'_>) + Send>;

impl super::Job for Job {
    fn carry_out(self, turn: Turn<'_>) {
        self(turn);
    }
}

type RunQueue = super::RunQueue<Job>;

/// Takes what was cancelled from its queue.
struct Forgets(Arc<RunQueue>);

impl OnCancel for Forgets {
    fn cancelled(&self, number: u64) {
        self.0.forget(Ticket::of(number));
    }
}

/// Preemptions that find every known way to break the queue, within seconds.
const PREEMPTIONS: usize = 3;

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(run);
}

/// How many threads have the turn.
#[derive(Default)]
struct Device {
    users: AtomicUsize,
    uses: AtomicUsize,
}

impl Device {
    fn use_alone(&self) {
        // ORDERING: Relaxed: the lock of the queue orders turns; without it the model fails.
        assert_eq!(self.users.fetch_add(1, Ordering::Relaxed), 0, "two turns at once");
        self.uses.fetch_add(1, Ordering::Relaxed);
        self.users.fetch_sub(1, Ordering::Relaxed);
    }

    fn uses(&self) -> usize {
        // ORDERING: Relaxed: read within a turn, or after all of them.
        self.uses.load(Ordering::Relaxed)
    }
}

#[test]
fn callers_take_turns_one_at_a_time() {
    model(|| {
        let shared = Arc::new((RunQueue::new(0), Device::default()));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let _turn = shared.0.turn().unwrap();
                    shared.1.use_alone();
                })
            })
            .collect();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!((shared.1.uses(), shared.0.len()), (2, 0));
    });
}

#[test]
fn a_turn_comes_after_the_job_that_was_submitted_before() {
    model(|| {
        let device = Arc::new(Device::default());
        let queue = RunQueue::new(1);
        for expected in 1..=2 {
            let used = Arc::clone(&device);
            let job: Job = Box::new(move |turn| {
                used.use_alone();
                drop(turn);
            });
            queue.submit(1, job).unwrap();
            let turn = queue.turn().unwrap();
            assert_eq!((device.uses(), queue.held_bytes()), (expected, 0));
            drop(turn);
        }
    });
}

/// A job that is cancelled never runs, one that is not runs once; both give their bytes back by the
/// time that the result is known.
#[test]
fn a_cancelled_job_gives_its_bytes_back_and_never_runs() {
    model(|| {
        let queue = Arc::new(RunQueue::new(1));
        let (completion, completer) = Completion::<Result<(), Unfinished>>::new(Err);
        let job: Job = Box::new(move |turn| {
            if completer.start() {
                drop(turn);
                completer.complete(Ok(()));
            }
        });
        let ticket = queue.submit(1, job).unwrap();
        let forgets = std::sync::Arc::new(Forgets(Arc::clone(&queue)));
        completion.on_cancel(forgets, ticket.number());
        let is_cancelled = completion.cancel();
        let outcome = completion.wait();
        assert_eq!(outcome, if is_cancelled { Err(Unfinished::Cancelled) } else { Ok(()) });
        if !is_cancelled {
            assert_eq!(queue.held_bytes(), 0);
        }
        drop(queue.turn().unwrap());
        assert_eq!(queue.held_bytes(), 0);
    });
}

/// Whoever is accepted before the queue closes gets an end, whichever it is.
#[test]
fn closing_leaves_nobody_behind() {
    model(|| {
        let queue = Arc::new(RunQueue::new(1));
        let (completion, completer) = Completion::<Result<(), Unfinished>>::new(Err);
        let closing = Arc::clone(&queue);
        let closer = thread::spawn(move || closing.close());
        let job: Job = Box::new(move |turn| {
            let has_started = completer.start();
            drop(turn);
            if has_started {
                completer.complete(Ok(()));
            }
        });
        let is_accepted = queue.submit(1, job).is_ok();
        let has_turn = queue.turn().is_ok();
        closer.join().unwrap();
        assert!(queue.turn().is_err());
        let outcome = completion.wait();
        assert!(is_accepted || outcome == Err(Unfinished::NeverStarted), "{outcome:?}");
        assert!(!has_turn || outcome == Ok(()), "the turn came after the job");
        assert_eq!((queue.len(), queue.held_bytes()), (0, 0));
    });
}

#[test]
fn who_waits_for_room_gets_it_before_later_calls() {
    model(|| {
        let queue = Arc::new(RunQueue::new(1));
        let device = Arc::new(Device::default());
        let job = |device: &Arc<Device>| -> Job {
            let device = Arc::clone(device);
            Box::new(move |_turn| device.use_alone())
        };
        queue.submit(1, job(&device)).unwrap();
        let (other, used) = (Arc::clone(&queue), Arc::clone(&device));
        let caller = thread::spawn(move || {
            let _turn = other.turn().unwrap();
            used.use_alone();
        });
        queue.submit_within(1, job(&device), Duration::MAX).unwrap();
        drop(queue.turn().unwrap());
        assert!(device.uses() >= 2, "both jobs were before this turn");
        caller.join().unwrap();
        assert_eq!((device.uses(), queue.len(), queue.held_bytes()), (3, 0, 0));
    });
}
