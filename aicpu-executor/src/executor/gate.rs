//! The gate of a run: who is who, when the others may enter, and who leaves last.

use core::sync::atomic::{AtomicBool, Ordering};

use protocol::StatusCode;

use super::roll::{Arrival, Roll};
use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::wait::{Deadline, wait_despite_faults};

/// How long threads wait for the one that sets up. TIMEOUT: its own waits (the handshake) are
/// shorter; this one only ends if that thread was lost.
const SETUP_US: u64 = 30_000_000;

/// Counts the threads of a run in and out.
#[derive(Debug, Default)]
pub(super) struct Gate {
    roll: Roll,
    is_open: AtomicBool,
}

impl Gate {
    /// Counts a thread in: one of the run `run`, 0 if that has no number, with `count` places.
    pub(super) fn arrive(&self, run: u32, count: usize) -> Arrival {
        self.roll.arrive(run, count)
    }

    /// Lets the other threads in.
    pub(super) fn open(&self) {
        // ORDERING: Release publishes the setup.
        self.is_open.store(true, Ordering::Release);
    }

    /// Waits for [`open`](Self::open). Returns false if there is nothing to do any more.
    pub(super) fn await_open<P: Platform>(&self, platform: &P, faults: &FaultLatch) -> bool {
        // A fault does not end this wait: the thread that sets up always opens the gate. (It also
        // clears faults of an earlier run, so the latch of the run is not the one to look at yet.)
        let deadline = Deadline::after(platform, SETUP_US);
        // ORDERING: Acquire: see `open`.
        let opened = wait_despite_faults(platform, deadline, || {
            self.is_open.load(Ordering::Acquire).then_some(())
        });
        if opened.is_none() {
            faults.report(
                StatusCode::SchedulerTimeout.code(),
                format_args!("the run was not set up within {} s", SETUP_US / 1_000_000),
            );
        }
        opened.is_some()
    }

    /// Counts a thread out; true for the last one.
    pub(super) fn depart(&self, count: usize) -> bool {
        self.roll.depart(count)
    }

    /// Makes the gate ready for the next run. Only the last thread.
    pub(super) fn close(&self, run: u32) {
        // ORDERING: Relaxed: `Roll::close` publishes it to whoever arrives next.
        self.is_open.store(false, Ordering::Relaxed);
        self.roll.close(run);
    }
}
