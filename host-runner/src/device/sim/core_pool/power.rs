//! Switching the cores of a pool on and off.
//!
//! ```text
//!            begin_run             begin_run: same record, same clusters
//!   off ──────────────────▶ on ◀──────────────────────────────────────┐
//!    ▲   next power cycle    │ keep_on: the run has succeeded           │
//!    │                       ├──────────────────────────────────────────┘
//!    └───────────────────────┘ end_run: it has failed
//! ```
//!
//! Cores that stay on keep their place in the protocol: brought up, idle, with the last dispatch that
//! they have ended. The executor knows by the power cycle that they are still there.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use protocol::{Chip, RuntimeRecord};

use super::super::core::{Assignment, Busy, identity};
use super::CorePool;
use crate::device::run_site::reset_handshake;

/// How long to wait for the pool before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// What the cores are switched on for.
#[derive(Debug, Default)]
pub(super) struct Power {
    /// Address of the run record; 0 if they are off.
    on_for: AtomicUsize,
    /// How often they have been switched on.
    cycle: AtomicU64,
}

impl<C: Chip> CorePool<C> {
    /// Readies the cores of `clusters` clusters for a run. They are switched on, unless they are on
    /// for the same clusters and record: then they go on where they are, and this costs nothing.
    ///
    /// # Safety
    ///
    /// `runtime` stays in place until [`end_run`](Self::end_run) has succeeded or another record was
    /// given, or for ever.
    pub unsafe fn begin_run(&self, runtime: &C::Runtime, clusters: usize) {
        self.pipes.clear();
        self.trust();
        let record = core::ptr::from_ref(runtime).addr();
        // ORDERING: Relaxed (all): runs begin and end one after the other, and the start of the run
        // publishes what is written here.
        if self.power.on_for.load(Ordering::Relaxed) == record
            && self.clusters.load(Ordering::Relaxed) == clusters
        {
            return;
        }
        self.power.on_for.store(record, Ordering::Relaxed);
        self.clusters.store(clusters, Ordering::Relaxed);
        self.power.cycle.fetch_add(1, Ordering::Relaxed);
        self.await_idle();
        for (index, core) in self.cores.iter().enumerate() {
            if let Some(registers) = self.registers.core(index) {
                registers.reset();
            }
            match (identity(index, clusters), runtime.workers().get(index)) {
                (Some(identity), Some(handshake)) => {
                    reset_handshake(handshake, index, clusters);
                    let assignment =
                        Assignment { handshake: core::ptr::from_ref(handshake), identity };
                    // SAFETY: the cores are idle; the rest is the caller's promise.
                    unsafe { core.begin(assignment) };
                }
                // SAFETY: the cores are idle.
                _ => unsafe { core.end() },
            }
        }
    }

    /// The number of the time that the cores are switched on for; `None` before the first one.
    pub fn power_cycle(&self) -> Option<NonZeroU64> {
        // ORDERING: Relaxed: see `begin_run`.
        NonZeroU64::new(self.power.cycle.load(Ordering::Relaxed))
    }

    /// Waits until no thread of the pool is on its way back from a kernel that has ended.
    fn await_idle(&self) {
        while !self.is_idle() {
            self.event.wait(LOOK_AGAIN);
        }
    }

    /// Whether nobody has a core, or is about to.
    fn is_idle(&self) -> bool {
        self.cores.iter().enumerate().all(|(index, core)| {
            core.state.is_idle()
                && self.registers.core(index).is_none_or(|registers| !core.is_in_hand(registers))
        })
    }

    /// After a run that has succeeded: leaves the cores on for the next one. All their kernels have
    /// ended; a thread of the pool may still be on its way back from one.
    pub fn keep_on(&self) {
        if self.turns.is_some() {
            // The next run begins where the turns of this one have ended.
            self.await_idle();
        }
    }

    /// Waits until no core does anything, at most until `deadline`, and switches them all off.
    ///
    /// # Errors
    ///
    /// The kernel that runs for longest, if one is still running then.
    pub fn end_run(self: &Arc<Self>, deadline: Instant) -> Result<(), Busy> {
        while !self.is_idle() {
            if Instant::now() >= deadline
                && let Some(busy) = self.longest_kernel()
            {
                return Err(busy);
            }
            self.relieve();
            self.hear();
            self.event.wait(LOOK_AGAIN);
        }
        self.unheard.clear();
        // SAFETY: the cores are idle, and nobody is in a run.
        self.cores.iter().for_each(|core| unsafe { core.end() });
        // ORDERING: Relaxed: see `begin_run`.
        self.power.on_for.store(0, Ordering::Relaxed);
        Ok(())
    }
}
