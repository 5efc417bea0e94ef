//! The AICPU threads of a device: resident, asleep between runs.
//!
//! A run is a generation: the caller publishes it with the number of threads that take part, each
//! of them runs the executor once and reports back. The caller waits with a deadline; a thread
//! that does not come back stays where it is, and the device around it is given up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// What every participating thread does in a run; the argument is the run record.
///
/// Returns 0 or a negative status.
pub type Program<R> = Arc<dyn Fn(&R) -> i32 + Send + Sync>;

/// The run record, as the threads get it.
struct RunRecord<R>(*const R);

impl<R> Clone for RunRecord<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for RunRecord<R> {}

// SAFETY: the threads only make a shared reference of it, and `R: Sync` where they are started.
unsafe impl<R: Sync> Send for RunRecord<R> {}

/// One run at a time.
struct State<R> {
    generation: u64,
    record: RunRecord<R>,
    participants: usize,
    running: usize,
    /// First status that was not 0.
    status: i32,
    panicked: bool,
    stopping: bool,
}

/// What caller and threads share.
struct Shared<R> {
    state: Mutex<State<R>>,
    started: Condvar,
    ended: Condvar,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // The state is valid at every step; a panic elsewhere does not change that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of one device.
pub struct AicpuThreads<R> {
    shared: Arc<Shared<R>>,
    threads: Vec<JoinHandle<()>>,
}

/// Threads that did not come back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Number of threads that are still inside the run.
    pub threads: usize,
}

/// How the threads of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// First status that was not 0, else 0.
    pub status: i32,
    /// Whether the program panicked on a thread: a defect of the executor.
    pub panicked: bool,
}

impl<R: Sync + 'static> AicpuThreads<R> {
    /// Starts `count` threads, which wait for the first run.
    ///
    /// # Errors
    ///
    /// The system's error where it refuses a thread.
    pub fn start(count: usize, program: &Program<R>) -> std::io::Result<Self> {
        let state = State {
            generation: 0,
            record: RunRecord(core::ptr::null()),
            participants: 0,
            running: 0,
            status: 0,
            panicked: false,
            stopping: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            started: Condvar::new(),
            ended: Condvar::new(),
        });
        let mut threads = Self { shared, threads: Vec::with_capacity(count) };
        for index in 0..count {
            let shared = Arc::clone(&threads.shared);
            let program = Arc::clone(program);
            let body = move || serve(index, &shared, &program);
            let builder = std::thread::Builder::new().name(format!("sim-aicpu-{index}"));
            // On failure, dropping `threads` stops those that are there.
            threads.threads.push(builder.spawn(body)?);
        }
        Ok(threads)
    }

    /// Starts a run on the first `participants` threads. The last run must have ended.
    ///
    /// # Safety
    ///
    /// `record` stays valid until [`wait`](Self::wait) has succeeded, or for ever.
    pub unsafe fn begin(&self, record: *const R, participants: usize) {
        let mut state = self.shared.lock();
        debug_assert_eq!(state.running, 0);
        let participants = participants.min(self.threads.len());
        state.generation += 1;
        state.record = RunRecord(record);
        state.participants = participants;
        state.running = participants;
        state.status = 0;
        state.panicked = false;
        drop(state);
        self.shared.started.notify_all();
    }

    /// Waits until all threads of the run have come back, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Stuck`] where they have not; they may still come back later.
    pub fn wait(&self, deadline: Instant) -> Result<Ended, Stuck> {
        let mut state = self.shared.lock();
        while state.running != 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Stuck { threads: state.running });
            }
            let woken = self.shared.ended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Ended { status: state.status, panicked: state.panicked })
    }
}

impl<R> Drop for AicpuThreads<R> {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.started.notify_all();
        for thread in self.threads.drain(..) {
            // Panics inside a run are caught there, so there is no other to report.
            let _never_panics = thread.join();
        }
    }
}

/// What a thread does from start to end.
fn serve<R>(index: usize, shared: &Shared<R>, program: &Program<R>) {
    let mut seen = 0;
    loop {
        let record = {
            let mut state = shared.lock();
            while state.generation == seen && !state.stopping {
                state = shared.started.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopping {
                return;
            }
            seen = state.generation;
            if index >= state.participants {
                continue;
            }
            state.record
        };
        // SAFETY: valid while the run lasts by the contract of `begin`, and this thread is counted
        // in `running`.
        let record = unsafe { &*record.0 };
        let outcome = catch_unwind(AssertUnwindSafe(|| program(record)));
        let mut state = shared.lock();
        match outcome {
            Ok(status) if state.status == 0 => state.status = status,
            Ok(_) => {}
            Err(_) => state.panicked = true,
        }
        state.running -= 1;
        if state.running == 0 {
            shared.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn each_run_is_executed_by_as_many_threads_as_asked_for() {
        let program: Program<AtomicUsize> = Arc::new(|runs| {
            runs.fetch_add(1, Ordering::SeqCst);
            0
        });
        let threads = AicpuThreads::start(4, &program).unwrap();
        for participants in [1, 4, 2, 3, 1] {
            let runs = AtomicUsize::new(0);
            // SAFETY: waited for below.
            unsafe { threads.begin(&raw const runs, participants) };
            assert_eq!(threads.wait(soon()), Ok(Ended { status: 0, panicked: false }));
            assert_eq!(runs.load(Ordering::SeqCst), participants);
        }
    }

    #[test]
    fn a_status_and_a_panic_reach_the_caller_and_the_next_run_works() {
        let program: Program<i32> = Arc::new(|&order| {
            assert!(order != 1, "ordered to panic");
            order
        });
        let threads = AicpuThreads::start(2, &program).unwrap();
        for (order, status, panicked) in [(-9, -9, false), (1, 0, true), (0, 0, false)] {
            // SAFETY: waited for below.
            unsafe { threads.begin(&raw const order, 2) };
            assert_eq!(threads.wait(soon()), Ok(Ended { status, panicked }));
        }
    }

    #[test]
    fn a_run_that_does_not_end_is_told_with_the_number_of_threads() {
        let program: Program<(AtomicUsize, AtomicUsize)> = Arc::new(|(arrived, released)| {
            if arrived.fetch_add(1, Ordering::SeqCst) > 0 {
                while released.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
            }
            0
        });
        let threads = AicpuThreads::start(3, &program).unwrap();
        let record = (AtomicUsize::new(0), AtomicUsize::new(0));
        // SAFETY: waited for below.
        unsafe { threads.begin(&raw const record, 3) };
        let stuck = threads.wait(Instant::now() + Duration::from_millis(50));
        assert_eq!(stuck, Err(Stuck { threads: 2 }));
        record.1.store(1, Ordering::SeqCst);
        assert!(threads.wait(soon()).is_ok());
    }
}
