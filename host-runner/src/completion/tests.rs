//! Waiting, polling, cancelling and giving up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::task::Wake;
use std::thread;

use super::*;

/// Long enough for any thread of a busy machine; no test that passes waits for it.
const LONG: Duration = Duration::from_secs(60);

type Outcome = Result<u32, Unfinished>;

fn pair() -> (Completion<Outcome>, Completer<Outcome>) {
    Completion::new(Err)
}

/// A waker that counts, and says of each wake-up whether the lock of the completion was free.
struct Task {
    wakes: AtomicUsize,
    shared: Arc<Shared<Outcome>>,
    found_locked: AtomicUsize,
}

impl Task {
    fn of(completion: &Completion<Outcome>) -> Arc<Self> {
        let shared = Arc::clone(&completion.shared);
        Arc::new(Self { wakes: 0.into(), shared, found_locked: 0.into() })
    }

    fn poll(self: &Arc<Self>, completion: &mut Completion<Outcome>) -> Poll<Outcome> {
        let waker = Waker::from(Arc::clone(self));
        Pin::new(completion).poll(&mut Context::from_waker(&waker))
    }

    /// Wake-ups, and those under the lock.
    fn wakes(&self) -> (usize, usize) {
        // ORDERING: Relaxed: the tests read on the thread that wakes, or after they joined it.
        (self.wakes.load(Ordering::Relaxed), self.found_locked.load(Ordering::Relaxed))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        // ORDERING: Relaxed: as in `wakes`.
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let is_locked = self.shared.state.try_lock().is_err();
        self.found_locked.fetch_add(usize::from(is_locked), Ordering::Relaxed);
    }
}

/// What a cancellation has to do, of the tests.
struct Duty<F>(F);

impl<F: Fn() + Send + Sync> OnCancel for Duty<F> {
    fn cancelled(&self, number: u64) {
        assert_eq!(number, 7);
        self.0();
    }
}

fn on_cancel(completion: &Completion<Outcome>, act: impl Fn() + Send + Sync + 'static) {
    completion.on_cancel(Arc::new(Duty(act)), 7);
}

/// Waits until a thread waits for the end.
fn until_waited_for(shared: &Shared<Outcome>) {
    while !shared.lock().is_waited_for {
        thread::yield_now();
    }
}

#[test]
fn a_thread_that_waits_gets_the_value_of_another() {
    let (completion, completer) = pair();
    let shared = Arc::clone(&completion.shared);
    let waiter = thread::spawn(move || completion.wait());
    until_waited_for(&shared);
    assert!(completer.start());
    completer.complete(Ok(7));
    assert_eq!(waiter.join().unwrap(), Ok(7));
}

#[test]
fn the_deadline_gives_the_handle_back_and_it_still_works() {
    let (completion, completer) = pair();
    let completion = completion.wait_for(Duration::from_millis(2)).unwrap_err();
    let completion = completion.wait_for(Duration::ZERO).unwrap_err();
    let completion = completion.try_take().unwrap_err();
    assert!(!completion.is_done());
    assert!(!completion.shared.lock().is_waited_for, "nobody to be notified is left");
    completer.complete(Ok(3));
    assert!(completion.is_done());
    assert_eq!(completion.wait_for(Duration::ZERO).unwrap(), Ok(3));
}

#[test]
fn a_wait_with_a_deadline_ends_with_the_value() {
    for limit in [LONG, Duration::MAX] {
        let (completion, completer) = pair();
        let shared = Arc::clone(&completion.shared);
        let waiter = thread::spawn(move || completion.wait_for(limit));
        until_waited_for(&shared);
        completer.complete(Ok(9));
        assert_eq!(waiter.join().unwrap().unwrap(), Ok(9));
    }
}

#[test]
fn only_the_task_that_polled_last_is_woken_and_once() {
    let (mut completion, completer) = pair();
    let (first, second) = (Task::of(&completion), Task::of(&completion));
    assert_eq!(first.poll(&mut completion), Poll::Pending);
    assert_eq!(second.poll(&mut completion), Poll::Pending);
    assert_eq!(second.poll(&mut completion), Poll::Pending);
    assert!(completer.start());
    assert_eq!(second.wakes(), (0, 0), "a start is no end");
    completer.complete(Ok(1));
    assert_eq!((first.wakes(), second.wakes()), ((0, 0), (1, 0)));
    assert_eq!(second.poll(&mut completion), Poll::Ready(Ok(1)));
    assert_eq!(first.poll(&mut completion), Poll::Ready(Err(Unfinished::Taken)));
    assert_eq!(completion.wait(), Err(Unfinished::Taken), "later takers do not wait for ever");
    // The completion keeps no task alive.
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1));
}

/// The smallest executor: polls where it was woken, and parks in between.
#[test]
fn a_future_on_an_executor_loses_no_wake_up() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let block_on = |mut completion: Completion<Outcome>| {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match Pin::new(&mut completion).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => thread::park_timeout(LONG),
            }
        }
    };
    let start = Instant::now();
    for round in 0..2000 {
        let (completion, completer) = pair();
        let (hand_over, given) = mpsc::sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                given.recv().unwrap();
                completer.complete(Ok(round));
            });
            hand_over.send(()).unwrap();
            assert_eq!(block_on(completion), Ok(round));
        });
    }
    assert!(start.elapsed() < LONG, "a wake-up was lost");
}

#[test]
fn what_was_cancelled_never_starts() {
    let (mut completion, completer) = pair();
    let task = Task::of(&completion);
    assert_eq!(task.poll(&mut completion), Poll::Pending);
    assert!(completion.cancel());
    assert_eq!(task.wakes(), (1, 0));
    assert!(completion.is_done());
    assert!(!completer.start());
    assert!(completion.cancel(), "it was cancelled, by an earlier call");
    completer.complete(Ok(5));
    assert_eq!(completion.wait(), Err(Unfinished::Cancelled), "a late value changes nothing");
}

#[test]
fn what_has_started_or_ended_cannot_be_cancelled() {
    let (completion, completer) = pair();
    assert!(completer.start());
    assert!(completer.start(), "saying it twice changes nothing");
    assert!(!completion.cancel());
    completer.complete(Ok(5));
    assert!(!completion.cancel());
    assert_eq!(completion.wait(), Ok(5));

    let (completion, completer) = pair();
    drop(completer);
    assert!(!completion.cancel(), "it ended in another way");
}

#[test]
fn a_cancellation_does_its_duty_before_it_tells_anybody() {
    let (mut completion, completer) = pair();
    let task = Task::of(&completion);
    assert_eq!(task.poll(&mut completion), Poll::Pending);
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (Arc::clone(&task), Arc::clone(&calls));
    on_cancel(&completion, move || {
        assert_eq!(seen.wakes(), (0, 0));
        assert!(seen.shared.state.try_lock().is_ok(), "not under the lock");
        // ORDERING: Relaxed: one thread.
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert!(completion.cancel() && completion.cancel());
    // ORDERING: Relaxed: one thread.
    assert_eq!((calls.load(Ordering::Relaxed), task.wakes()), (1, (1, 0)));
    drop(completer);
    assert_eq!(completion.wait(), Err(Unfinished::Cancelled));
}

#[test]
fn the_duty_of_a_cancellation_goes_with_the_start_and_with_the_end() {
    for starts in [true, false] {
        let (completion, completer) = pair();
        let owned = Arc::new(());
        let duty = Arc::clone(&owned);
        on_cancel(&completion, move || panic!("{duty:?}: nothing was cancelled"));
        if starts {
            assert!(completer.start());
        } else {
            completer.complete(Ok(0));
        }
        assert_eq!(Arc::strong_count(&owned), 1, "starts: {starts}");
        assert!(!completion.cancel());
        on_cancel(&completion, || panic!("too late to be cancelled"));
        assert!(!completion.cancel());
    }
}

#[test]
fn a_start_and_a_cancellation_decide_once_who_was_first() {
    for _ in 0..500 {
        let (completion, completer) = pair();
        let barrier = Barrier::new(2);
        let (has_started, is_cancelled) = thread::scope(|scope| {
            let producer = scope.spawn(|| {
                barrier.wait();
                let has_started = completer.start();
                if has_started {
                    completer.complete(Ok(1));
                }
                has_started
            });
            barrier.wait();
            let is_cancelled = completion.cancel();
            (producer.join().unwrap(), is_cancelled)
        });
        assert_ne!(has_started, is_cancelled);
        let expected = if has_started { Ok(1) } else { Err(Unfinished::Cancelled) };
        assert_eq!(completion.wait(), expected);
    }
}

#[test]
fn nobody_waits_for_what_was_given_up() {
    let (completion, completer) = pair();
    drop(completer);
    assert_eq!(completion.wait(), Err(Unfinished::NeverStarted));

    let (completion, completer) = pair();
    let shared = Arc::clone(&completion.shared);
    let waiter = thread::spawn(move || completion.wait());
    until_waited_for(&shared);
    let producer = thread::spawn(move || {
        assert!(completer.start());
        // Without the message of a panic: only the unwinding matters.
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(producer.join().is_err());
    assert_eq!(waiter.join().unwrap(), Err(Unfinished::Abandoned));
}

#[test]
fn dropping_the_handle_cancels_nothing_and_keeps_nothing() {
    let (completion, completer) = Completion::new(|_| Arc::new(0));
    drop(completion);
    assert!(completer.start());
    let value = Arc::new(1);
    completer.complete(Arc::clone(&value));
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn both_ends_say_in_which_state_they_are() {
    let (completion, completer) = pair();
    assert_eq!(format!("{completion:?} {completer:?}"), "Completion(accepted) Completer(accepted)");
    assert!(completer.start());
    assert_eq!(format!("{completer:?}"), "Completer(started)");
    completer.complete(Ok(0));
    assert_eq!(format!("{completion:?}"), "Completion(done)");
    let (completion, _completer) = pair();
    assert!(completion.cancel());
    assert_eq!(format!("{completion:?}"), "Completion(cancelled)");
}

/// A handle goes to other threads wherever its result does.
#[test]
fn a_handle_can_be_sent_and_shared() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Completion<std::cell::Cell<u32>>>();
    is_send_and_sync::<Completer<std::cell::Cell<u32>>>();
}
