//! One run: its settings, the staging of its tensors, and what came of it.
//!
//! ```text
//!  settings ─check─▶ staging: IN and INOUT to the device ─▶ launch ─▶ OUT and INOUT back
//!                                                              └ fault: outputs stay untouched
//! ```
//!
//! What a run needs on the device is kept from run to run: a run of the same callable with tensors
//! that fit its buffers allocates nothing.

use std::cell::RefCell;
use std::time::Duration;

use crate::arguments::TensorSet;
use crate::device::sim::clock;
use crate::device::{DeviceFacts, Launch, RingConfig, Work};
use crate::registry::{GraphReport, PlacedWork, Placement, Registration, TensorBuffers};

mod error;
#[expect(unsafe_code, reason = "the orchestration works on the caller's memory by address")]
mod graph_run;
mod host_arguments;
mod record_error;
mod recorded;
mod replay_error;
mod staging;

pub use error::{RunError, RunFault};
pub use record_error::RecordError;
pub(crate) use recorded::{GraphSource, RecordedRun};
pub use replay_error::{ReplayError, TensorShape};

/// Longest time limit of a run: a year, which no clock overflows by.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Settings of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunConfig {
    /// Clusters to use: one cube and two vector cores each.
    pub block_dim: u32,
    /// AICPU threads to use. Of trb, one of them runs the orchestration; with a single thread it also
    /// schedules. Of hbg, whose orchestration runs on the host, all of them schedule.
    pub aicpu_threads: u32,
    /// How long the run may take: more than nothing, at most [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How long no task may make progress, which a change of a counter that a deferred task waits
    /// for is; zero: seven eighths of `timeout`, so that a run in
    /// which nothing moves ends with a report of what it waits for, and not with the timeout.
    pub stall_timeout: Duration,
    /// How long after a fault or the timeout the device may take to stop before it is given up.
    pub grace: Duration,
}

impl Default for RunConfig {
    /// 24 clusters and 3 threads, as in the reference (spec callable §1.6); a minute, of which
    /// seven eighths without progress; 5 seconds to stop.
    fn default() -> Self {
        Self {
            block_dim: 24,
            aicpu_threads: 3,
            timeout: Duration::from_secs(60),
            stall_timeout: Duration::ZERO,
            grace: Duration::from_secs(5),
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// Tasks that the orchestration submitted.
    pub tasks: u64,
    /// From the copy of the first input, or the call of an orchestration on the host, to the copy of the
    /// last output.
    pub elapsed: Duration,
    /// What it took to bring the graph to the device, where the orchestration runs on the host.
    pub graph: Option<GraphReport>,
}

impl RunConfig {
    /// Checks the settings against what the device can do.
    ///
    /// # Errors
    ///
    /// [`RunError::BlockDim`] and [`RunError::AicpuThreads`].
    pub fn check(&self, facts: &DeviceFacts) -> Result<(), RunError> {
        let DeviceFacts { clusters_max, aicpu_threads_max, .. } = *facts;
        if !(1..=clusters_max).contains(&self.block_dim) {
            return Err(RunError::BlockDim { value: self.block_dim, max: clusters_max });
        }
        if !(1..=aicpu_threads_max).contains(&self.aicpu_threads) {
            let value = self.aicpu_threads;
            return Err(RunError::AicpuThreads { value, max: aicpu_threads_max });
        }
        let longest = self.timeout.max(self.grace).max(self.stall_timeout);
        if self.timeout.is_zero() || longest > TIMEOUT_MAX {
            return Err(RunError::Timeout { value: longest });
        }
        Ok(())
    }

    fn launch(&self, work: Work) -> Launch {
        self.launch_within(work, self.timeout)
    }

    /// The same, where only this much is left of the time limit.
    fn launch_within(&self, work: Work, timeout: Duration) -> Launch {
        Launch {
            clusters: self.block_dim,
            aicpu_threads: self.aicpu_threads,
            work,
            stall_timeout: match self.stall_timeout {
                Duration::ZERO => timeout - timeout / 8,
                given => given,
            },
            timeout,
            grace: self.grace,
        }
    }
}

/// What a run is of.
pub(crate) struct Call<'r> {
    /// The callable.
    pub(crate) callable: &'r Registration,
    /// Where it is on the device.
    pub(crate) placement: &'r Placement,
    /// The settings, which have been checked.
    pub(crate) config: &'r RunConfig,
    /// Sizes of the rings.
    pub(crate) rings: RingConfig,
}

impl Call<'_> {
    /// Carries out the run.
    pub(crate) fn carry_out(
        &self,
        arguments: &mut dyn TensorSet,
        source: &mut GraphSource<'_>,
    ) -> Result<RunReport, RunError> {
        match self.placement.work() {
            PlacedWork::Orchestration(on_device) => {
                self.carry_out_on_device(&on_device.buffers, arguments)
            }
            PlacedWork::Graphs(space) => {
                // The registration opens what it places for.
                let host = self.callable.host_orchestration().ok_or(RunError::Abandoned)?;
                graph_run::carry_out(self, &host, space, arguments, source)
            }
        }
    }

    /// Carries out a run whose orchestration the device has.
    fn carry_out_on_device(
        &self,
        buffers: &RefCell<TensorBuffers>,
        arguments: &mut dyn TensorSet,
    ) -> Result<RunReport, RunError> {
        let start = clock::nanoseconds();
        let on = self.placement.on();
        let mut buffers = buffers.borrow_mut();
        staging::stage(on, self.callable, &mut buffers, arguments)?;
        let work = Work::Orchestration(self.rings);
        let outcome = on.device().run(&self.config.launch(work), &mut |body| {
            if on.rebind(self.placement) {
                self.placement.bind(body);
            }
            staging::write_arguments(&mut body.orch_args, arguments, &mut buffers);
        })?;
        if let Some(fault) = outcome.fault {
            return Err(RunFault::new(fault.code, fault.text.as_str()).into());
        }
        staging::collect(on, &mut buffers, arguments).map_err(RunError::Memory)?;
        let elapsed = Duration::from_nanos(clock::nanoseconds().saturating_sub(start));
        Ok(RunReport { tasks: outcome.tasks, elapsed, graph: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_the_device_are_refused_with_the_limit() {
        let facts =
            DeviceFacts { chip: "a2a3", clusters_max: 24, aicpu_threads_max: 4, callable_ids: 64 };
        let check = |block_dim, aicpu_threads| {
            RunConfig { block_dim, aicpu_threads, ..RunConfig::default() }
                .check(&facts)
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(1, 1), Ok(()));
        assert_eq!(check(24, 4), Ok(()));
        for timeout in [Duration::ZERO, TIMEOUT_MAX + Duration::from_nanos(1), Duration::MAX] {
            let config = RunConfig { timeout, ..RunConfig::default() };
            assert!(matches!(config.check(&facts), Err(RunError::Timeout { .. })), "{timeout:?}");
        }
        for (block_dim, threads, part) in
            [(0, 3, "block_dim 0"), (25, 3, "1 to 24"), (24, 0, "1 to 4"), (24, 5, "5 AICPU")]
        {
            let text = check(block_dim, threads).unwrap_err();
            assert!(text.contains(part), "{text}");
        }
    }
}
