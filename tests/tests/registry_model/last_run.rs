//! The order of the last run and the unregistration that waits for it, looked at where it is told.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use host_runner::worker::RunCompletion;
use tests::flag::Flag;

use crate::bench::{config, open};
use crate::calls::Deed;
use crate::in_flight::owned;
use crate::programs::Program;

/// Looks at a run when something else is told, on the thread that tells.
struct Look {
    at: RunCompletion,
    was_done: AtomicBool,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        self.was_done.store(self.at.is_done(), Ordering::Release);
    }
}

#[test]
fn who_learns_of_an_unregistration_finds_the_last_run_done() {
    let worker = open();
    let program = Program { image: 0, entry: 1, downwards: false };
    let handle = worker.register(program.callable()).unwrap();
    let flags = [Flag::new(), Flag::new()];
    let arguments = owned(Deed::Waits, None, [4, 0], &flags);
    let at = worker.submit(&handle, arguments, &config(Deed::Waits, 2)).unwrap();
    let mut unregistered = pin!(worker.begin_unregister(&handle).unwrap());
    let look = Arc::new(Look { at, was_done: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&look));
    assert!(unregistered.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    flags[0].set();
    while !unregistered.is_done() {
        std::thread::yield_now();
    }
    // Dropping the worker waits for the thread that tells.
    drop((handle, worker));
    assert!(look.was_done.load(Ordering::Acquire));
}
