//! One resident thread that does what somebody else waits for, as far as they are willing to wait.
//!
//! It exists apart because handing work over is most of what small work costs. Where both have a processor,
//! each looks for a moment before it sleeps: sleeping and waking take microseconds on either side. On a busy
//! machine they share one, and looking would keep it from the other; so whoever has looked in vain sleeps at
//! once for some time.
//!
//! ```text
//!  begin ─▶ posted ─▶ the thread: looks for a moment, then sleeps until it is woken
//!  wait  ◀─ given  ◀─┘ the caller: looks for a moment, then sleeps until it is woken, or the deadline
//! ```
//!
//! Work that does not come back in time keeps its thread. Whoever has waited may wait again, or give it up:
//! what it gives then is dropped there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks for more work whose last result somebody was looking for.
const LOOKS_FOR_WORK: Duration = Duration::from_micros(200);
/// How long somebody who waits looks whether the work is begun: what waking a thread takes that
/// sleeps on an idle processor.
const LOOKS_FOR_START: Duration = Duration::from_micros(60);
/// How long they look for the end of what is begun: what loading small objects takes.
const LOOKS_FOR_END: Duration = Duration::from_micros(100);
/// Waits without looking after the work was not begun in time: the first time, and at most.
const BLIND: [u32; 2] = [8, 128];
/// Looks between two at the clock.
const LOOKS: u32 = 32;

/// What the thread is to do.
type Job = Box<dyn FnOnce() + Send>;

/// A thread and its line. Dropping it ends the thread and waits for that.
#[derive(Debug)]
pub struct Relay {
    line: Arc<Line>,
    /// `None` where it was left behind.
    thread: Option<JoinHandle<()>>,
}

/// Between the thread and whoever has work for it.
#[derive(Default)]
struct Line {
    /// Posts so far; it changes with each, and at the end.
    posts: AtomicU32,
    /// Those that the thread has not taken; `None` is the last.
    waiting: Mutex<VecDeque<Option<Job>>>,
    /// Whether the thread looks for work before it sleeps.
    is_looked_for: AtomicBool,
    /// Waits without looking: how many are left, and how many there were the last time.
    blind_left: AtomicU32,
    blind: AtomicU32,
}

/// Work that is under way.
#[derive(Debug)]
pub struct Pending<T> {
    result: Arc<ResultCell<T>>,
    line: Arc<Line>,
}

/// Where a result is given.
#[derive(Debug)]
struct ResultCell<T> {
    progress: AtomicU32,
    result: Mutex<Given<T>>,
    waiter: Thread,
    is_waiter_asleep: AtomicBool,
}

/// Values of `progress`.
const POSTED: u32 = 0;
const BEGUN: u32 = 1;
const OVER: u32 = 2;

#[derive(Debug)]
enum Given<T> {
    NotYet,
    Value(T),
    /// The work has panicked, or its result was taken.
    Nothing,
    /// Nobody takes it.
    Unwanted,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// The work is not over at the deadline.
    Late,
    /// It has panicked.
    Panicked,
}

impl Relay {
    /// Starts a thread, which the system shows under a name.
    ///
    /// # Errors
    ///
    /// The system has no thread.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let line = Arc::<Line>::default();
        let served = Arc::clone(&line);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || served.serve())?;
        Ok(Self { line, thread: Some(thread) })
    }

    /// Has the thread do something, after what it was to do before.
    pub fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let cell = ResultCell {
            progress: AtomicU32::new(POSTED),
            result: Mutex::new(Given::NotYet),
            waiter: thread::current(),
            is_waiter_asleep: AtomicBool::new(false),
        };
        let result = Arc::new(cell);
        let giver = Giver { cell: Arc::clone(&result), line: Arc::clone(&self.line) };
        self.post(Some(Box::new(move || giver.give(work))));
        Pending { result, line: Arc::clone(&self.line) }
    }

    /// Leaves the thread behind, which has not come back. It ends when it does.
    pub fn leave(mut self) {
        self.thread = None;
    }

    fn post(&self, post: Option<Job>) {
        self.line.waiting().push_back(post);
        // ORDERING: Release: pairs with the Acquire in `next`, though the lock would do: who sees the count
        // finds the post.
        self.line.posts.fetch_add(1, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.post(None);
        if let Some(thread) = self.thread.take() {
            // It has nothing to do, so it ends now. Work that panicked has been told of before.
            let _ended = thread.join();
        }
    }
}

impl Line {
    /// What the thread does from start to end. Work that panics ends it.
    fn serve(&self) {
        super::thread_start::started();
        let mut seen = 0;
        while let Some(job) = self.next(&mut seen) {
            job();
        }
    }

    /// Waits for the next post after the one with this count.
    fn next(&self, seen: &mut u32) -> Option<Job> {
        loop {
            // ORDERING: Acquire: see `post`.
            let is_new = || self.posts.load(Ordering::Acquire) != *seen;
            // ORDERING: Relaxed: a guess.
            let moment = match self.is_looked_for.load(Ordering::Relaxed) {
                true => LOOKS_FOR_WORK,
                false => Duration::ZERO,
            };
            if !look(is_new, moment) {
                // A token that was left by an earlier post ends one sleep early.
                thread::park();
                continue;
            }
            *seen = seen.wrapping_add(1);
            return self.waiting().pop_front().flatten();
        }
    }

    /// Whether whoever waits should look first.
    fn is_worth_a_look(&self) -> bool {
        // ORDERING: Relaxed: (all here) a guess, of one caller at a time.
        let left = self.blind_left.load(Ordering::Relaxed);
        self.blind_left.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// Notes whether the work was begun in time.
    fn note_look(&self, was_begun: bool) {
        let blind = match was_begun {
            true => 0,
            false => (2 * self.blind.load(Ordering::Relaxed)).clamp(BLIND[0], BLIND[1]),
        };
        self.blind.store(blind, Ordering::Relaxed);
        self.blind_left.store(blind, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Option<Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("posts", &self.posts).finish_non_exhaustive()
    }
}

impl<T> Pending<T> {
    /// Waits for the result until `deadline`. To be called on the thread that has begun it.
    ///
    /// # Errors
    ///
    /// [`Unfinished`].
    pub fn wait(&self, deadline: Instant) -> Result<T, Unfinished> {
        // ORDERING: Acquire: pairs with the Release in `end`, though the lock would do: who sees it finds the
        // result.
        let is_at = |least| self.result.progress.load(Ordering::Acquire) >= least;
        if self.line.is_worth_a_look() {
            let was_begun = look(|| is_at(BEGUN), LOOKS_FOR_START);
            self.line.note_look(was_begun);
            if was_begun {
                look(|| is_at(OVER), LOOKS_FOR_END);
            }
        }
        // ORDERING: Relaxed: tells the thread what to expect next; that we wake does not depend on it.
        self.result.is_waiter_asleep.store(!is_at(OVER), Ordering::Relaxed);
        while !is_at(OVER) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unfinished::Late);
            }
            thread::park_timeout(left);
        }
        match std::mem::replace(&mut *self.result.lock(), Given::Nothing) {
            Given::Value(value) => Ok(value),
            _ => Err(Unfinished::Panicked),
        }
    }

    /// Gives the result up, unless it has come after all.
    pub fn give_up(self) -> Option<T> {
        match std::mem::replace(&mut *self.result.lock(), Given::Unwanted) {
            Given::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T> ResultCell<T> {
    fn lock(&self) -> MutexGuard<'_, Given<T>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what came of it; hands back what nobody takes.
    fn end(&self, given: Given<T>) -> Option<Given<T>> {
        let mut result = self.lock();
        if let Given::Unwanted = *result {
            return Some(given);
        }
        *result = given;
        drop(result);
        // ORDERING: Release: see `wait`.
        self.progress.store(OVER, Ordering::Release);
        self.waiter.unpark();
        None
    }
}

/// Gives a result once; that there is none, where the work panics.
struct Giver<T> {
    cell: Arc<ResultCell<T>>,
    line: Arc<Line>,
}

impl<T> Giver<T> {
    fn give(self, work: impl FnOnce() -> T) {
        // ORDERING: Relaxed: (both) guesses; see `wait` and `next`.
        self.cell.progress.store(BEGUN, Ordering::Relaxed);
        let value = work();
        let is_asleep = self.cell.is_waiter_asleep.load(Ordering::Relaxed);
        self.line.is_looked_for.store(!is_asleep, Ordering::Relaxed);
        // Nobody takes it where it was given up; then it is dropped here.
        let _late = self.cell.end(Given::Value(value));
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.cell.end(Given::Nothing);
        }
    }
}

/// Looks until something is so, but no longer than a moment; whether it is.
///
/// The processor is not offered to others meanwhile: on a busy machine they would keep it for milliseconds,
/// while one that sleeps gets it back when it is woken.
fn look(is_so: impl Fn() -> bool, moment: Duration) -> bool {
    if is_so() || moment.is_zero() {
        return is_so();
    }
    let begun = Instant::now();
    loop {
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            if is_so() {
                return true;
            }
        }
        if begun.elapsed() >= moment {
            return is_so();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn work_is_done_in_order_by_one_thread_awake_or_asleep() {
        let relay = Relay::start("relay").unwrap();
        let here = || thread::current().id();
        let first = relay.begin(here).wait(soon()).unwrap();
        assert_ne!(first, here());
        for round in 0..300_u32 {
            if round % 30 == 0 {
                // By now the thread sleeps.
                thread::sleep(2 * LOOKS_FOR_WORK);
            }
            assert_eq!(relay.begin(move || (here(), round)).wait(soon()), Ok((first, round)));
        }
    }

    #[test]
    fn work_that_is_late_can_be_waited_for_again_or_given_up() {
        let relay = Relay::start("relay").unwrap();
        let late = || Instant::now() + Duration::from_millis(5);
        let (release, released) = mpsc::channel();
        let pending = relay.begin(move || released.recv());
        assert_eq!(pending.wait(late()), Err(Unfinished::Late));
        release.send(7).unwrap();
        assert_eq!(pending.wait(soon()), Ok(Ok(7)));

        // What a result does when it is dropped, it does on the thread.
        struct Tells(mpsc::Sender<thread::ThreadId>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _nobody_asks = self.0.send(thread::current().id());
            }
        }
        let own = relay.begin(|| thread::current().id()).wait(soon()).unwrap();
        let ((release, released), (tell, told)) = (mpsc::channel::<()>(), mpsc::channel());
        let pending = relay.begin(move || {
            let _ended = released.recv();
            Tells(tell)
        });
        assert!(matches!(pending.wait(late()), Err(Unfinished::Late)));
        assert!(pending.give_up().is_none());
        relay.leave();
        drop(release);
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(own));
    }

    #[test]
    fn a_panic_ends_the_wait() {
        let relay = Relay::start("relay").unwrap();
        let pending = relay.begin(|| panic!("on purpose"));
        assert_eq!(pending.wait(soon()), Err::<(), _>(Unfinished::Panicked));
    }
}
