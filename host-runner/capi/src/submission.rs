//! A run that nobody waits for, until somebody asks how it ended.
//!
//! ```text
//!  submit ──▶ running ── asked after the end ──▶ outputs written, ended ──▶ the same answer again
//! ```
//!
//! The client's memory is touched in two calls only: tensors are copied when the run is submitted, and
//! outputs are written by the call that first learns that it succeeded.

use std::ffi::c_int;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use host_runner::worker::RunCompletion;

use crate::context::lock;
use crate::failure::{CANCELLED, Failure, PENDING};
use crate::kept::Kept;
use crate::tensors::SpareArguments;

/// A submitted run.
#[derive(Debug)]
pub(crate) struct Submission {
    state: Mutex<State>,
    signal: Arc<Signal>,
}

#[derive(Debug)]
enum State {
    Running(RunCompletion, SpareArguments),
    Ended(Result<(), Failure>),
}

/// Submissions that are over.
static KEPT: Kept<Arc<Submission>> = Kept::new();

/// Wakes those who wait, however many there are.
#[derive(Debug, Default)]
struct Signal {
    is_given: Mutex<bool>,
    given: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *lock(&self.is_given) = true;
        self.given.notify_all();
    }
}

impl Submission {
    /// A run that was accepted, and where its outputs go.
    pub(crate) fn begin(completion: RunCompletion, arguments: SpareArguments) -> Arc<Self> {
        let state = Mutex::new(State::Running(completion, arguments));
        if let Some(mut kept) = KEPT.take_oldest()
            && let Some(own) = Arc::get_mut(&mut kept)
        {
            match Arc::get_mut(&mut own.signal) {
                Some(signal) => *signal = Signal::default(),
                // It is still being told of the run before.
                None => own.signal = Arc::default(),
            }
            own.state = state;
            return kept;
        }
        Arc::new(Self { state, signal: Arc::default() })
    }

    /// Takes one back that the client has freed. If nobody else is in it, the next one uses its memory.
    pub(crate) fn give_back(mut run: Arc<Self>) {
        let Some(own) = Arc::get_mut(&mut run) else { return };
        // A run that has not ended goes on unobserved.
        own.state = Mutex::new(State::Ended(Ok(())));
        KEPT.keep(run);
    }

    /// Waits for the end, for at most `limit`; [`PENDING`] if there is none by then.
    ///
    /// # Safety
    ///
    /// Nobody reads, changes or unmaps the memory of the run's tensors meanwhile.
    pub(crate) unsafe fn wait(&self, limit: Option<Duration>) -> Result<(), Failure> {
        // A limit beyond what the clock can say is none.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            // SAFETY: as the caller promises.
            if let Some(end) = unsafe { self.look() } {
                return end;
            }
            let mut is_given = lock(&self.signal.is_given);
            while !*is_given {
                let Some(deadline) = deadline else {
                    let woken = self.signal.given.wait(is_given);
                    is_given = woken.unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    let text = "the run has not ended yet; wait longer, or again";
                    return Err(Failure { code: PENDING, text: text.to_owned() });
                }
                let woken = self.signal.given.wait_timeout(is_given, left);
                is_given = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Cancels the run, if it has not begun.
    pub(crate) fn cancel(&self) -> Result<(), Failure> {
        let is_cancelled = match &*lock(&self.state) {
            State::Running(completion, _) => completion.cancel(),
            State::Ended(end) => matches!(end, Err(failure) if failure.code == CANCELLED),
        };
        if is_cancelled {
            return Ok(());
        }
        Err(Failure::refused("the run has begun or ended; it cannot be cancelled any more"))
    }

    /// The end, if it has come; its outputs are written now if nobody has asked before.
    ///
    /// # Safety
    ///
    /// As [`wait`](Self::wait).
    unsafe fn look(&self) -> Option<Result<(), Failure>> {
        let mut state = lock(&self.state);
        let (completion, arguments) = match &mut *state {
            State::Ended(end) => return Some(end.clone()),
            State::Running(completion, arguments) => (completion, arguments),
        };
        let waker = Waker::from(Arc::clone(&self.signal));
        let Poll::Ready(end) = Pin::new(completion).poll(&mut TaskContext::from_waker(&waker))
        else {
            return None;
        };
        let end = match end {
            Ok(output) => {
                // SAFETY: as the caller promises.
                let end = unsafe { arguments.take_back(&output.arguments) };
                arguments.keep(output.arguments);
                end
            }
            Err(error) => Err(Failure::of_submitted(&error)),
        };
        *state = State::Ended(end.clone());
        Some(end)
    }
}

/// The answer of a call that has nothing else to say.
pub(crate) const DONE: c_int = 0;
