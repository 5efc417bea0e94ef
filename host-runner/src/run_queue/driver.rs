//! The thread that carries out jobs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[cfg(loom)]
use loom::sync::Arc;
#[cfg(loom)]
use loom::sync::atomic::Ordering;
#[cfg(loom)]
use loom::thread;
#[cfg(not(loom))]
use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::atomic::Ordering;
#[cfg(not(loom))]
use std::thread;

use super::quick_turn::ThreadNumber;
use super::{Job, Shared, Turn};
use crate::brief_wait;

/// How long it looks for the next job before it parks: who takes the result of one and submits the
/// next is back by then, even if it was woken for that.
const LOOK: Duration = Duration::from_millis(1);

/// Name of the thread, at most 15 bytes for Linux.
pub(super) const THREAD_NAME: &str = "run-queue";

/// Starts the driver.
pub(super) fn start<J: Job>(shared: Arc<Shared<J>>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || drive(&shared))
}

/// Carries out each job whose turn comes, until the queue is closed.
fn drive<J: Job>(shared: &Shared<J>) {
    let thread = ThreadNumber::own();
    // ORDERING: Relaxed: for this thread only.
    shared.driver_thread.store(thread.value(), Ordering::Relaxed);
    loop {
        let Some(job) = next_job(shared, thread) else { return };
        // A panic unwinds through the job, whose turn and completer end by it: that is how the
        // waiter learns of it. Nothing of it is looked at afterwards, so nothing half done is seen.
        let turn = Turn::of(shared, thread);
        let end = catch_unwind(AssertUnwindSafe(|| job.carry_out(turn)));
        // The payload of a panic may panic where it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(end)));
    }
}

/// Waits for a job whose turn has come, and begins its turn; none once the queue is closed.
fn next_job<J: Job>(shared: &Shared<J>, thread: ThreadNumber) -> Option<J> {
    let mut has_looked = false;
    let mut line = shared.lock();
    loop {
        if let Some(job) = line.begin_job(thread) {
            return Some(job);
        }
        if line.is_closed() {
            return None;
        }
        if has_looked {
            line.driver_parks();
            line = shared.wait(&shared.driver, line);
        } else {
            // ORDERING: Relaxed: written under the lock, as all calls are; a call that comes after
            // it is seen without the lock, and whoever sees it takes the lock.
            shared.is_driver_called.store(false, Ordering::Relaxed);
            drop(line);
            brief_wait::until(LOOK, || shared.is_driver_called.load(Ordering::Relaxed));
            has_looked = true;
            line = shared.lock();
        }
    }
}
