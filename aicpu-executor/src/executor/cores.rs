//! The cores that runs work on: brought up for a run, or still up from the one before.
//!
//! On a chip, the program on the cores ends with the run, so each run brings its cores up and sends
//! them away. Where the platform leaves cores up between runs ([`Platform::core_power_cycle`]), a run
//! of as many cores as the last one finds them ready, and what it costs does not depend on how many
//! there are. After a run that failed, cores are always sent away.

use core::num::NonZeroU64;

use protocol::{Chip, DispatchId, RecordOperation};

use super::Executor;
use super::setup::Setup;
use crate::platform::Platform;
use crate::scheduler::core_table::{Cluster, LANES};
use crate::scheduler::handshake::{Clusters, bring_up, next_dispatch, take_down};

/// The cores that came up last.
#[derive(Debug, Default)]
pub(super) struct Cores {
    clusters: Clusters,
    /// The power cycle of the platform in which they came up; `None` if they are not up any more.
    up_since: Option<NonZeroU64>,
    /// How often cores were brought up.
    bring_ups: u32,
}

/// The cores of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CoresOfRun {
    /// Empty if the cores did not come up.
    pub(super) clusters: &'static [Cluster],
    /// Whether they stay up when the run has succeeded.
    pub(super) stay_up: bool,
    /// Whether they came up for this run.
    pub(super) are_fresh: bool,
}

#[cfg(test)]
impl Cores {
    /// How often cores were brought up.
    pub(super) fn bring_ups(&self) -> u32 {
        self.bring_ups
    }
}

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Finds the cores of a run up, or brings them up. Faults go to the latch.
    ///
    /// # Safety
    ///
    /// The calling thread is alone in the run.
    pub(super) unsafe fn ready_cores(&self, workers: &[C::Handshake]) -> CoresOfRun {
        // SAFETY: by the contract.
        let cores = unsafe { &mut *self.cores.get() };
        let power_cycle = self.platform.core_power_cycle();
        let are_up = power_cycle.is_some()
            && cores.up_since == power_cycle
            && cores.clusters.len() * LANES == workers.len();
        if !are_up {
            cores.up_since = None;
            cores.bring_ups = cores.bring_ups.wrapping_add(1);
            // Before: the host has written them. After, when they are done with: a line that stayed would be written
            // over what the host writes for the next run.
            self.forget_lines(workers);
            let up = bring_up::<C, P>(&self.platform, &self.faults, &self.payloads, workers);
            self.forget_lines(workers);
            cores.clusters = up.unwrap_or_default();
            cores.up_since = power_cycle.filter(|_| !cores.clusters.is_empty());
        }
        let clusters: *const [Cluster] = cores.clusters.as_slice();
        CoresOfRun {
            // SAFETY: the clusters are written by threads that are alone in a run only; `'static`
            // stands for the time until the run has ended, when `Setup` is dropped.
            clusters: unsafe { &*clusters },
            stay_up: cores.up_since.is_some(),
            are_fresh: !are_up,
        }
    }

    /// Has the next look at handshake records find what is in memory.
    fn forget_lines(&self, workers: &[C::Handshake]) {
        let address = workers.as_ptr().expose_provenance() as u64;
        self.platform.invalidate_cache(address, size_of_val(workers));
    }

    /// Divides the cores of the run into as many partitions as it has threads to schedule. Cores that
    /// are still up from the last run may still be divided as that was.
    ///
    /// # Safety
    ///
    /// The calling thread is alone in the run.
    pub(super) unsafe fn divide_cores(&self, operation: RecordOperation, threads: usize) {
        // SAFETY: by the contract.
        let Some(setup) = (unsafe { (*self.setup.get()).as_ref() }) else { return };
        let CoresOfRun { clusters, stay_up, are_fresh } = setup.cores;
        let count = match operation {
            RecordOperation::RunGraph => threads,
            // One of them is for the orchestration.
            _ => threads.saturating_sub(1).max(1),
        };
        // SAFETY: (both) by the contract.
        unsafe {
            if !are_fresh && self.partitions.go_on(count) {
                return;
            }
            self.partitions.form(clusters, count, |core| match stay_up {
                true => next_dispatch::<C, P>(&self.platform, core),
                false => DispatchId::FIRST,
            });
        }
    }

    /// Ends the use of cores: where they stay up there is nothing to do, unless the run failed.
    ///
    /// # Safety
    ///
    /// All threads of the run have departed but the calling one.
    pub(super) unsafe fn leave_cores(&self, setup: &Setup) {
        if !setup.cores.stay_up || self.faults.is_raised() {
            // SAFETY: by the contract.
            let cores = unsafe { self.partitions.locations() };
            take_down::<C, P>(&self.platform, &self.faults, cores, self.scheduler.running());
        }
    }

    /// Notes that cores have left, or may have: those of a run that failed.
    ///
    /// # Safety
    ///
    /// All threads of the run have departed but the calling one.
    pub(super) unsafe fn forget_cores(&self) {
        // SAFETY: by the contract.
        unsafe { (*self.cores.get()).up_since = None };
    }
}
