//! The gate of a run: who is who, when the others may enter, and who leaves last.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use protocol::StatusCode;

use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::wait::{Deadline, wait_despite_faults};

/// How long threads wait for the one that sets up. TIMEOUT: its own waits (the handshake) are
/// shorter; this one only ends if that thread was lost.
const SETUP_US: u64 = 30_000_000;

/// What a thread is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The `index`-th to arrive.
    Member {
        /// 0 for the thread that sets up.
        index: usize,
    },
    /// All places are taken.
    Surplus,
}

/// Counts the threads of a run in and out.
#[derive(Debug, Default)]
pub(super) struct Gate {
    arrived: AtomicUsize,
    departed: AtomicUsize,
    is_open: AtomicBool,
}

impl Gate {
    /// Counts a thread in.
    pub(super) fn arrive(&self, count: usize) -> Arrival {
        // ORDERING: AcqRel: with `close`, the first thread of a run sees what the last one of the
        // run before has left.
        let index = self.arrived.fetch_add(1, Ordering::AcqRel);
        if index < count { Arrival::Member { index } } else { Arrival::Surplus }
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
        // ORDERING: AcqRel: the last thread sees what all the others did.
        self.departed.fetch_add(1, Ordering::AcqRel) + 1 == count
    }

    /// Makes the gate ready for the next run. Only the last thread.
    pub(super) fn close(&self) {
        // ORDERING: Relaxed, then Release on what `arrive` looks at.
        self.is_open.store(false, Ordering::Relaxed);
        self.departed.store(0, Ordering::Relaxed);
        self.arrived.store(0, Ordering::Release);
    }
}
