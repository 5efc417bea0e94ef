//! Which processor the bench runs on, and a sibling thread that keeps another one busy.
//!
//! All of it is a wish: where the system refuses, the bench runs as it is and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Priority asked for; the least that the system knows is 19, the highest -20.
const PRIORITY: libc::c_int = -20;

/// The processors that this process may use.
#[derive(Debug, Clone)]
pub(crate) struct Processors {
    all: Vec<usize>,
    /// Whether the calling thread was bound to the last of them.
    pub(crate) pinned: bool,
}

impl Processors {
    /// Binds the calling thread to the last processor it may use, which has the least to do with
    /// the interrupts of the machine.
    pub(crate) fn pin() -> Self {
        let allowed = sched_getaffinity(None);
        let all: Vec<usize> = allowed
            .map(|set| (0..CpuSet::MAX_CPU).filter(|&processor| set.is_set(processor)).collect())
            .unwrap_or_default();
        let pinned = all.last().is_some_and(|&last| bind(last));
        Self { all, pinned }
    }

    /// Starts a thread that spins on another processor; `None` if there is no other.
    pub(crate) fn spin_beside(&self) -> Option<Sibling> {
        let [.., other, _] = self.all[..] else { return None };
        let stop = Arc::new(AtomicBool::new(false));
        let running = Arc::new(AtomicBool::new(false));
        let (stopped, started) = (Arc::clone(&stop), Arc::clone(&running));
        let thread = std::thread::spawn(move || {
            bind(other);
            // ORDERING: a mark without data behind it.
            started.store(true, Ordering::Relaxed);
            // ORDERING: as above; the join is what synchronises.
            while !stopped.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        });
        // ORDERING: as above.
        while !running.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Some(Sibling { stop, thread: Some(thread) })
    }
}

/// Binds the calling thread; whether that worked.
fn bind(processor: usize) -> bool {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).is_ok()
}

/// Raises the priority of the process; whether that worked.
pub(crate) fn raise_priority() -> bool {
    // SAFETY: takes numbers, and changes this process only.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, PRIORITY) == 0 }
}

/// A spinning thread, ended when dropped.
pub(crate) struct Sibling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Sibling {
    fn drop(&mut self) {
        // ORDERING: a mark without data behind it.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic.
            let _ = thread.join();
        }
    }
}
