//! All interleavings of start, cancellation, end and the taking of the result.
//!
//! Loom stops a model in which a waiter is left behind, because then all threads are blocked.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::task::Wake;

use super::*;

type Outcome = Result<u32, Unfinished>;

/// Wakes by a count that a model reads after it joined the producer.
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        // ORDERING: Relaxed: read after the join.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts cancellations.
struct Duties(AtomicUsize);

impl OnCancel for Duties {
    fn cancelled(&self, _number: u64) {
        // ORDERING: Relaxed: read on the thread that cancels.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn produce(completer: Completer<Outcome>) -> bool {
    let has_started = completer.start();
    if has_started {
        completer.complete(Ok(1));
    }
    has_started
}

#[test]
fn a_waiter_is_never_left_behind() {
    for completes in [true, false] {
        loom::model(move || {
            let (completion, completer) = Completion::<Outcome>::new(Err);
            let producer = thread::spawn(move || match completes {
                true => assert!(produce(completer)),
                false => assert!(completer.start()),
            });
            let expected = if completes { Ok(1) } else { Err(Unfinished::Abandoned) };
            assert_eq!(completion.wait(), expected);
            producer.join().unwrap();
        });
    }
}

#[test]
fn a_start_and_a_cancellation_decide_once_who_was_first() {
    loom::model(|| {
        let (completion, completer) = Completion::<Outcome>::new(Err);
        let duties = std::sync::Arc::new(Duties(AtomicUsize::new(0)));
        completion.on_cancel(std::sync::Arc::clone(&duties) as std::sync::Arc<dyn OnCancel>, 0);
        let producer = thread::spawn(move || produce(completer));
        let is_cancelled = completion.cancel();
        // ORDERING: Relaxed: as above.
        assert_eq!(duties.0.load(Ordering::Relaxed), usize::from(is_cancelled));
        let outcome = completion.wait();
        let has_started = producer.join().unwrap();
        assert_ne!(has_started, is_cancelled);
        assert_eq!(outcome, if has_started { Ok(1) } else { Err(Unfinished::Cancelled) });
    });
}

/// Either the poll sees the end, or the end sees the waker: a task that is told to wait is woken.
#[test]
fn a_task_that_is_told_to_wait_is_woken() {
    loom::model(|| {
        let (mut completion, completer) = Completion::<Outcome>::new(Err);
        let tasks = [0, 1].map(|_| std::sync::Arc::new(Task(AtomicUsize::new(0))));
        let producer = thread::spawn(move || produce(completer));
        let mut is_ready = false;
        let mut last = 0;
        for (index, task) in tasks.iter().enumerate() {
            let waker = Waker::from(std::sync::Arc::clone(task));
            let polled = Pin::new(&mut completion).poll(&mut Context::from_waker(&waker));
            is_ready = polled.is_ready();
            last = index;
            if is_ready {
                assert_eq!(polled, Poll::Ready(Ok(1)));
                break;
            }
        }
        assert!(producer.join().unwrap());
        // ORDERING: Relaxed: after the join.
        let wakes = tasks.each_ref().map(|task| task.0.load(Ordering::Relaxed));
        if is_ready {
            assert_eq!(wakes[last], 0, "the task that saw the end was not waiting");
        } else {
            assert_eq!(wakes, [0, 1], "the last task, once");
            assert_eq!(completion.try_take().ok(), Some(Ok(1)));
        }
    });
}

/// Whichever end goes last leaves it as new: what comes next is not told of what was before.
#[test]
fn one_that_is_used_again_knows_nothing_of_its_last_use() {
    loom::model(|| {
        let spares = Spares::<Outcome>::new(Err);
        let (completion, completer) = spares.take();
        let producer = thread::spawn(move || produce(completer));
        assert_eq!(completion.wait(), Ok(1));
        // Its memory, if the producer has gone.
        let (next, completer) = spares.take();
        assert!(!next.is_done());
        assert!(producer.join().unwrap());
        completer.complete(Ok(2));
        assert_eq!(next.wait(), Ok(2));
    });
}
