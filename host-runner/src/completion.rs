//! The result of something that was accepted and is not done yet.
//!
//! ```text
//!             start                  complete
//!  Accepted ─────────▶ Started ─────────────────▶ Done(value) ─────┐
//!   │  │  └─ complete ──────┼──────────────────────▲               │ wait, wait_for,
//!   │  │ cancel             │ dropped                              │ try_take, poll
//!   │  └──────▶ Cancelled   └──────▶ Abandoned ────────────────────┤
//!   │ dropped       └──────────────────────────────────────────────┤
//!   └─────────▶ NeverStarted ──────────────────────────────────────┴─▶ Taken
//! ```
//!
//! `start` (the producer's) and [`Completion::cancel`] decide under one lock which of them was first.
//! What the waiter gets where there is no value is made by the producer's closure, on the waiter's
//! thread: so a producer's end that a panic drops runs no foreign code but the waker.
//!
//! Nothing foreign runs under the lock. Each step takes the lock once; a wake-up of a thread is a
//! system call only if a thread waits.
//!
//! Completions that follow each other share their memory: see `Spares`.

#[cfg(loom)]
use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[cfg(all(test, loom))]
mod models;
mod spares;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub(crate) use spares::Spares;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// [`Completion::cancel`] came before the start.
    Cancelled,
    /// The producer gave it up before the start, as a queue that closes does.
    NeverStarted,
    /// The producer started and then gave it up, as a panic does.
    Abandoned,
    /// The result was taken before: a future was polled or waited for after it was ready.
    Taken,
}

/// The result of something that was accepted and is not done yet: wait for it, poll it, or await it
/// as a [`Future`].
///
/// Dropping it does not cancel; the thing is then done unobserved. Wakers are called on the thread
/// that gives the result, mostly the one that carries out submitted runs. Waiting there (in a waker)
/// for another run of the same worker, or for an unregistration that waits for one, never ends,
/// because that thread is the one to do it.
#[must_use = "dropping it neither waits nor cancels"]
pub struct Completion<T> {
    shared: Arc<Shared<T>>,
}

/// The producer's end. Dropped without [`complete`](Self::complete), it ends the completion all
/// the same, so that nobody waits for ever.
pub(crate) struct Completer<T> {
    /// `None` once completed.
    shared: Option<Arc<Shared<T>>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
    /// Makes the result where the producer gave none.
    unfinished: fn(Unfinished) -> T,
    /// Where it goes when both ends have gone.
    home: spares::Home<T>,
}

/// What a cancellation has to do besides: to take the thing from its queue.
pub(crate) trait OnCancel: Send + Sync {
    /// The thing that was given this number was cancelled.
    fn cancelled(&self, number: u64);
}

struct State<T> {
    phase: Phase<T>,
    /// The task that polled last.
    waker: Option<Waker>,
    /// Whether a thread waits for `ended`; there is at most one, because waiting takes the handle.
    is_waited_for: bool,
    /// What a cancellation has to do besides, and the number that it gets; gone with the start.
    on_cancel: Option<(std::sync::Arc<dyn OnCancel>, u64)>,
    /// How many of the two ends are left.
    ends: u8,
}

enum Phase<T> {
    Accepted,
    Started,
    Ended(End<T>),
}

enum End<T> {
    Done(T),
    Unfinished(Unfinished),
}

/// Whom an end is told to, once the lock is free.
struct Audience {
    waker: Option<Waker>,
    is_waited_for: bool,
}

impl<T> Completion<T> {
    /// Makes a completion and its producer's end. `unfinished` makes the result where the producer
    /// gives none; it is called on the thread that takes the result, at most once unless a result
    /// is asked for again after it was taken.
    pub(crate) fn new(unfinished: fn(Unfinished) -> T) -> (Self, Completer<T>) {
        Self::of(Arc::new(Shared::new(unfinished, spares::Home::default())))
    }

    /// Both ends of what is in its first state.
    fn of(shared: Arc<Shared<T>>) -> (Self, Completer<T>) {
        (Self { shared: Arc::clone(&shared) }, Completer { shared: Some(shared) })
    }

    /// Has `act` called with a number by the cancellation, on the canceller's thread, before anybody
    /// learns of the end: to take the thing from its queue. Replaces what was given before; dropped
    /// uncalled where the thing has started.
    pub(crate) fn on_cancel(&self, act: std::sync::Arc<dyn OnCancel>, number: u64) {
        let mut act = Some((act, number));
        let mut state = self.shared.lock();
        if matches!(state.phase, Phase::Accepted) {
            mem::swap(&mut state.on_cancel, &mut act);
        }
        // What is left over may own anything: it goes without the lock.
        drop(state);
    }

    /// Waits for the result, without limit.
    pub fn wait(self) -> T {
        let mut state = self.shared.lock();
        let end = loop {
            if let Some(end) = state.take_end() {
                break end;
            }
            state.is_waited_for = true;
            state = self.shared.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        self.shared.result(end)
    }

    /// Waits for the result, for at most `limit`.
    ///
    /// # Errors
    ///
    /// The handle, where there is no result at the deadline.
    pub fn wait_for(self, limit: Duration) -> Result<T, Self> {
        // A limit beyond what the clock can say is none.
        let Some(deadline) = Instant::now().checked_add(limit) else { return Ok(self.wait()) };
        let mut state = self.shared.lock();
        let end = loop {
            if let Some(end) = state.take_end() {
                break end;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.is_waited_for = false;
                drop(state);
                return Err(self);
            }
            state.is_waited_for = true;
            let woken = self.shared.ended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(state);
        Ok(self.shared.result(end))
    }

    /// Takes the result if it is there.
    ///
    /// # Errors
    ///
    /// The handle, where there is none yet.
    pub fn try_take(self) -> Result<T, Self> {
        let end = self.shared.lock().take_end();
        match end {
            Some(end) => Ok(self.shared.result(end)),
            None => Err(self),
        }
    }

    /// Whether the result is there: waiting would return at once.
    pub fn is_done(&self) -> bool {
        matches!(self.shared.lock().phase, Phase::Ended(_))
    }

    /// Cancels what has not started. True where it will never start because of this or an earlier
    /// call, and the result says so; false where it has started, or has ended in another way.
    pub fn cancel(&self) -> bool {
        let mut state = self.shared.lock();
        match state.phase {
            Phase::Accepted => {}
            Phase::Ended(End::Unfinished(why)) => return why == Unfinished::Cancelled,
            Phase::Started | Phase::Ended(End::Done(_)) => return false,
        }
        let act = state.on_cancel.take();
        let audience = state.end(End::Unfinished(Unfinished::Cancelled));
        drop(state);
        if let Some((act, number)) = act {
            act.cancelled(number);
        }
        self.shared.tell(audience);
        true
    }
}

impl<T> Future for Completion<T> {
    type Output = T;

    /// Gives the result once. Polled again after that, it gives what the producer says of a result
    /// that was taken before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Cloned and dropped without the lock: both run code of the executor of the task.
        let mut waker = Some(context.waker().clone());
        let mut state = self.shared.lock();
        if let Some(end) = state.take_end() {
            drop(state);
            return Poll::Ready(self.shared.result(end));
        }
        let is_known = state.waker.as_ref().is_some_and(|known| known.will_wake(context.waker()));
        if !is_known {
            mem::swap(&mut state.waker, &mut waker);
        }
        drop(state);
        Poll::Pending
    }
}

impl<T> fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Completion").field(&format_args!("{}", self.shared.phase_name())).finish()
    }
}

impl<T> Completer<T> {
    /// Says that it starts now. False where it was cancelled: it must not start then.
    #[must_use]
    pub(crate) fn start(&self) -> bool {
        let Some(shared) = &self.shared else { return false };
        let mut state = shared.lock();
        if matches!(state.phase, Phase::Accepted) {
            state.phase = Phase::Started;
        }
        let is_started = matches!(state.phase, Phase::Started);
        let act = state.on_cancel.take();
        drop(state);
        drop(act);
        is_started
    }

    /// Gives the result. It is dropped where the thing was cancelled.
    pub(crate) fn complete(mut self, value: T) {
        if let Some(shared) = self.shared.take() {
            shared.end(End::Done(value));
            Shared::leave(&shared);
        }
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        Shared::leave(&self.shared);
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        let has_started = matches!(shared.lock().phase, Phase::Started);
        // Only this end says that it started, so nothing but a cancellation comes in between, and
        // that stays.
        let why = if has_started { Unfinished::Abandoned } else { Unfinished::NeverStarted };
        shared.end(End::Unfinished(why));
        Shared::leave(&shared);
    }
}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.shared.as_ref().map_or("completed", |shared| shared.phase_name());
        f.debug_tuple("Completer").field(&format_args!("{phase}")).finish()
    }
}

impl<T> Shared<T> {
    fn new(unfinished: fn(Unfinished) -> T, home: spares::Home<T>) -> Self {
        Self { state: Mutex::new(State::new()), ended: Condvar::new(), unfinished, home }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, unless it has ended.
    fn end(&self, end: End<T>) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Ended(_)) {
            // The late value goes after the lock does.
            drop(state);
            drop(end);
            return;
        }
        let act = state.on_cancel.take();
        let audience = state.end(end);
        drop(state);
        drop(act);
        self.tell(audience);
    }

    fn tell(&self, audience: Audience) {
        if audience.is_waited_for {
            self.ended.notify_one();
        }
        if let Some(waker) = audience.waker {
            waker.wake();
        }
    }

    fn result(&self, end: End<T>) -> T {
        match end {
            End::Done(value) => value,
            End::Unfinished(why) => (self.unfinished)(why),
        }
    }

    fn phase_name(&self) -> &'static str {
        match self.lock().phase {
            Phase::Accepted => "accepted",
            Phase::Started => "started",
            Phase::Ended(End::Done(_)) => "done",
            Phase::Ended(End::Unfinished(Unfinished::Cancelled)) => "cancelled",
            Phase::Ended(End::Unfinished(Unfinished::NeverStarted)) => "never started",
            Phase::Ended(End::Unfinished(Unfinished::Abandoned)) => "abandoned",
            Phase::Ended(End::Unfinished(Unfinished::Taken)) => "taken",
        }
    }
}

impl<T> State<T> {
    fn new() -> Self {
        Self { phase: Phase::Accepted, waker: None, is_waited_for: false, on_cancel: None, ends: 2 }
    }

    fn end(&mut self, end: End<T>) -> Audience {
        self.phase = Phase::Ended(end);
        let is_waited_for = mem::take(&mut self.is_waited_for);
        Audience { waker: self.waker.take(), is_waited_for }
    }

    /// Takes the end, if there is one, and leaves that it was taken.
    fn take_end(&mut self) -> Option<End<T>> {
        match &mut self.phase {
            Phase::Accepted | Phase::Started => None,
            Phase::Ended(end) => Some(mem::replace(end, End::Unfinished(Unfinished::Taken))),
        }
    }
}
