//! The thread that carries out jobs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

#[cfg(loom)]
use loom::sync::Arc;
#[cfg(loom)]
use loom::thread;
#[cfg(not(loom))]
use std::sync::Arc;
#[cfg(not(loom))]
use std::thread;

use super::{Shared, Turn};

/// Name of the thread, at most 15 bytes for Linux.
pub(super) const THREAD_NAME: &str = "run-queue";

/// Starts the driver.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || drive(&shared))
}

/// Carries out each job whose turn comes, until the queue is closed.
fn drive(shared: &Shared) {
    let thread = thread::current().id();
    loop {
        let mut line = shared.lock();
        let job = loop {
            if let Some(job) = line.begin_job(thread) {
                break job;
            }
            if line.is_closed() {
                return;
            }
            line.driver_parks();
            line = shared.driver.wait(line).unwrap_or_else(PoisonError::into_inner);
        };
        drop(line);
        // A panic unwinds through the job, whose turn and completer end by it: that is how the
        // waiter learns of it. Nothing of it is looked at afterwards, so nothing half done is seen.
        let turn = Turn::of(shared);
        let end = catch_unwind(AssertUnwindSafe(|| job(turn)));
        // The payload of a panic may panic where it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(end)));
    }
}
