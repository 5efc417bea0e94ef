//! The AICPU threads of a device: resident, asleep between orders.
//!
//! An order (a run, a load, or unloading) is a generation: the caller publishes it with the number of threads
//! that take part, each of them carries it out once and reports back. The caller waits with a
//! deadline; a thread that does not come back stays where it is, and the device around it is given
//! up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// What every participating thread does with an order.
///
/// Returns 0 or a negative status.
pub type Program<O> = Arc<dyn Fn(O) -> i32 + Send + Sync>;

/// One order at a time.
struct State<O> {
    generation: u64,
    /// `None` before the first one.
    order: Option<O>,
    participants: usize,
    running: usize,
    /// First status that was not 0.
    status: i32,
    panicked: bool,
    stopping: bool,
}

/// What caller and threads share.
struct Shared<O> {
    state: Mutex<State<O>>,
    started: Condvar,
    ended: Condvar,
}

impl<O> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        // The state is valid at every step; a panic elsewhere does not change that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of one device.
pub struct AicpuThreads<O> {
    shared: Arc<Shared<O>>,
    threads: Vec<JoinHandle<()>>,
}

/// Threads that did not come back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Number of threads that are still carrying it out.
    pub threads: usize,
}

/// How the threads ended an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// First status that was not 0, else 0.
    pub status: i32,
    /// Whether the program panicked on a thread: a defect of the executor.
    pub panicked: bool,
}

impl<O: Copy + Send + 'static> AicpuThreads<O> {
    /// Starts `count` threads, which wait for the first order. The system shows them as `name`, with
    /// a number.
    ///
    /// # Errors
    ///
    /// The system's error where it refuses a thread.
    pub fn start(name: &str, count: usize, program: &Program<O>) -> std::io::Result<Self> {
        let state = State {
            generation: 0,
            order: None,
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
            let builder = std::thread::Builder::new().name(format!("{name}-{index}"));
            // On failure, dropping `threads` stops those that are there.
            threads.threads.push(builder.spawn(body)?);
        }
        Ok(threads)
    }

    /// Has the first `participants` threads carry out an order. The last one must have ended.
    pub fn begin(&self, order: O, participants: usize) {
        let mut state = self.shared.lock();
        debug_assert_eq!(state.running, 0);
        let participants = participants.min(self.threads.len());
        state.generation += 1;
        state.order = Some(order);
        state.participants = participants;
        state.running = participants;
        state.status = 0;
        state.panicked = false;
        drop(state);
        self.shared.started.notify_all();
    }

    /// Waits until all threads of the order have come back, at most until `deadline`.
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

impl<O> Drop for AicpuThreads<O> {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.started.notify_all();
        for thread in self.threads.drain(..) {
            // Panics inside an order are caught there, so there is no other to report.
            let _never_panics = thread.join();
        }
    }
}

/// What a thread does from start to end.
fn serve<O: Copy>(index: usize, shared: &Shared<O>, program: &Program<O>) {
    let mut seen = 0;
    loop {
        let order = {
            let mut state = shared.lock();
            while state.generation == seen && !state.stopping {
                state = shared.started.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopping {
                return;
            }
            seen = state.generation;
            match state.order {
                Some(order) if index < state.participants => order,
                _ => continue,
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| program(order)));
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
    fn each_order_is_carried_out_by_as_many_threads_as_asked_for() {
        let program: Program<&AtomicUsize> = Arc::new(|runs| {
            runs.fetch_add(1, Ordering::SeqCst);
            0
        });
        let threads = AicpuThreads::start("test", 4, &program).unwrap();
        static RUNS: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];
        for (participants, runs) in [1, 4, 2, 3, 1].into_iter().zip(&RUNS) {
            threads.begin(runs, participants);
            assert_eq!(threads.wait(soon()), Ok(Ended { status: 0, panicked: false }));
            assert_eq!(runs.load(Ordering::SeqCst), participants);
        }
    }

    #[test]
    fn a_status_and_a_panic_reach_the_caller_and_the_next_order_works() {
        let program: Program<i32> = Arc::new(|order| {
            assert!(order != 1, "ordered to panic");
            order
        });
        let threads = AicpuThreads::start("test", 2, &program).unwrap();
        for (order, status, panicked) in [(-9, -9, false), (1, 0, true), (0, 0, false)] {
            threads.begin(order, 2);
            assert_eq!(threads.wait(soon()), Ok(Ended { status, panicked }));
        }
    }

    #[test]
    fn an_order_that_does_not_end_is_told_with_the_number_of_threads() {
        static ARRIVED: AtomicUsize = AtomicUsize::new(0);
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let program: Program<()> = Arc::new(|()| {
            if ARRIVED.fetch_add(1, Ordering::SeqCst) > 0 {
                while RELEASED.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
            }
            0
        });
        let threads = AicpuThreads::start("test", 3, &program).unwrap();
        threads.begin((), 3);
        let stuck = threads.wait(Instant::now() + Duration::from_millis(50));
        assert_eq!(stuck, Err(Stuck { threads: 2 }));
        RELEASED.store(1, Ordering::SeqCst);
        assert!(threads.wait(soon()).is_ok());
    }
}
