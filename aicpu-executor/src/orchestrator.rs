//! The orchestrator: turns what the orchestration submits into tasks with dependencies.
//!
//! It runs on one AICPU thread, inside the operations that the orchestration calls. One
//! submission goes through these steps, each in its file:
//!
//! ```text
//! argument ── check ──► take slot, memory ──► payload ──► dependencies ──► publish
//! (user's)   request     task_rings            payload     tensor_map       scheduler
//! ```
//!
//! What it shares with the scheduler threads is the region (`region::slot` says who may touch what
//! when) and the ready queues. Everything else here is private to its thread.
//!
//! A wait of the orchestrator goes through [`Services::work_until`]: it schedules meanwhile, as all
//! threads of a run do.

use core::fmt;

use protocol::{Chip, MAX_FUNC_IDS, MAX_TENSOR_ARGS, StatusCode};

use crate::fault::FaultLatch;
use crate::kernels::kernel_address;
use crate::platform::Platform;
use crate::region::Region;
use crate::scheduler::Scheduler;
use crate::scheduler::core_table::Payloads;
use crate::scheduler::deferred::waiting_list::WaitingLists;
use crate::scheduler::partitions::Driver;
use crate::scheduler::task_store::{Completer, TaskStore};
use crate::scheduler::thread::StepContext;
use crate::wait::{Polled, WaitEnd, work_until};

mod allocate;
mod dependencies;
mod heap_ring;
mod overlap;
mod payload;
mod request;
mod room;
mod scopes;
mod soft_window;
mod submit;
pub(crate) mod task_rings;
mod tensor_data;
pub(crate) mod tensor_map;
#[cfg(test)]
mod tests;

use scopes::{ScopeError, Scopes};
use task_rings::{RingSizes, Submission, TaskRings};
use tensor_map::TensorMap;

/// The run has a fault: the operation does nothing and the orchestration gets an empty result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fatal;

/// The orchestrator's own state in a run.
#[derive(Debug)]
pub(crate) struct Orchestrator {
    region: Region<'static>,
    rings: TaskRings,
    map: TensorMap,
    scopes: Scopes,
    /// Kernels of the last task that had other ones than the one before.
    kernels: submit::FoundKernels,
    /// The submission under way, or the last one.
    submission: Submission,
    /// Bytes of each of its outputs.
    output_bytes: request::OutputBytes,
    /// Addresses of the tensors of its outputs, and zeroes.
    outputs: [u64; MAX_TENSOR_ARGS],
    /// Addresses that are not zero.
    output_count: usize,
}

impl Orchestrator {
    /// An orchestrator with empty rings over `region` and the output memory at `heap_base`.
    #[inline]
    pub(crate) fn new(region: Region<'static>, sizes: RingSizes, heap_base: u64) -> Self {
        Self {
            region,
            rings: TaskRings::new(sizes, heap_base),
            map: TensorMap::default(),
            scopes: Scopes::default(),
            kernels: submit::FoundKernels::NONE,
            submission: Submission { number: 0, task: None },
            output_bytes: [0; MAX_TENSOR_ARGS],
            outputs: [0; MAX_TENSOR_ARGS],
            output_count: 0,
        }
    }

    /// Makes it as [`new`](Self::new), with the region, sizes and memory that it has: for the next run, after one
    /// that has succeeded and whose kernels may have been others than these.
    pub(crate) fn reset(&mut self, kernels: &[u64; MAX_FUNC_IDS]) {
        self.rings.reset();
        self.map = TensorMap::default();
        self.scopes.reset();
        self.kernels.find_again(kernels);
        self.submission = Submission { number: 0, task: None };
    }

    /// Opens a scope (spec trb §4.2).
    pub(crate) fn scope_begin<C: Chip, P: Platform>(
        &mut self,
        services: &Services<'_, C, P>,
        mode: protocol::ScopeMode,
    ) -> Result<(), Fatal> {
        services.check()?;
        self.scopes.begin(mode).map_err(|error| match error {
            ScopeError::AutoInsideManual => services.fatal(
                StatusCode::InvalidArgs,
                format_args!(
                    "an AUTO scope was opened inside a MANUAL one (depth {}); open it as MANUAL, \
                     or close the outer one first",
                    self.scopes.depth()
                ),
            ),
            ScopeError::TooDeep | ScopeError::NoneOpen => services.fatal(
                StatusCode::InvalidArgs,
                format_args!("more than {} scopes are open", self.scopes.depth()),
            ),
        })
    }

    /// Closes the innermost scope.
    pub(crate) fn scope_end<C: Chip, P: Platform>(
        &mut self,
        services: &Services<'_, C, P>,
    ) -> Result<(), Fatal> {
        services.check()?;
        self.scopes.end(&mut self.rings).map_err(|_| {
            services.fatal(
                StatusCode::InvalidArgs,
                format_args!("a scope was closed, but none is open"),
            )
        })
    }

    /// Where the tasks are.
    #[cfg(test)]
    pub(crate) fn region(&self) -> &Region<'static> {
        &self.region
    }

    /// Number of open scopes.
    pub(crate) fn scope_depth(&self) -> usize {
        self.scopes.depth()
    }

    /// Tasks submitted so far, those without kernel included.
    pub(crate) fn tasks(&self) -> u64 {
        self.rings.taken()
    }

    /// Retires everything at the end of a run that succeeded. Returns whether nothing is left.
    pub(crate) fn retire_all(&mut self) -> bool {
        self.scopes.abandon(&mut self.rings);
        let mut live = 0;
        for ring in 0..protocol::RING_COUNT as u8 {
            if self.rings.live(ring) > 0 {
                self.rings.retire(&self.region, &mut self.map, ring);
                live += self.rings.live(ring);
            }
        }
        live == 0 && self.map.live() == 0
    }
}

/// What the orchestrator uses of the run around it.
#[derive(Debug)]
pub(crate) struct Services<'a, C: Chip, P: Platform> {
    pub(crate) platform: &'a P,
    pub(crate) faults: &'a FaultLatch,
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) payloads: &'a Payloads,
    pub(crate) waiting: &'a WaitingLists,
    /// Addresses of the kernels' `CoreCallable` records, by func_id; 0 for none.
    pub(crate) kernels: &'a [u64; MAX_FUNC_IDS],
    /// The cores, which this thread drives while it waits.
    pub(crate) driver: Driver<'a, C>,
    /// Longest time without any progress, in microseconds.
    pub(crate) stall_us: u64,
    /// Cores of each kind: clusters (one AIC each) and AIVs.
    pub(crate) cluster_count: u32,
}

impl<'a, C: Chip, P: Platform> Services<'a, C, P> {
    /// Fails if the run has a fault.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Fatal> {
        if self.faults.is_raised() { Err(Fatal) } else { Ok(()) }
    }

    /// Reports a fault.
    #[cold]
    pub(crate) fn fatal(&self, code: StatusCode, text: fmt::Arguments<'_>) -> Fatal {
        self.platform.interleave();
        self.faults.report(code.code(), text);
        self.platform.interleave();
        Fatal
    }

    /// What a step of the driver works with.
    fn step_context<'t, T: TaskStore>(&self, tasks: &'t T) -> StepContext<'t, P, T>
    where
        'a: 't,
    {
        let Self { platform, faults, scheduler, payloads, waiting, .. } = *self;
        let completer = Completer::Orchestrator;
        StepContext { platform, faults, scheduler, tasks, payloads, waiting, completer }
    }

    /// Waits for `poll`, scheduling meanwhile.
    pub(crate) fn work_until<T>(
        &mut self,
        region: &Region<'_>,
        mut poll: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitEnd> {
        let context = self.step_context(region);
        let driver = &mut self.driver;
        work_until(
            self.platform,
            self.faults,
            self.stall_us,
            || self.scheduler.progress::<C, P>(self.platform),
            || match poll() {
                Some(value) => Polled::Done(value),
                None => {
                    if driver.step(context) {
                        Polled::Progress
                    } else {
                        Polled::Idle
                    }
                }
            },
        )
    }

    /// Schedules until all tasks of the run are complete.
    ///
    /// Looks for that after each step, and not before it: nothing that the step has dispatched is left behind then.
    pub(crate) fn work_to_end(&mut self, region: &Region<'_>) -> Result<(), WaitEnd> {
        let context = self.step_context(region);
        let Self { driver, scheduler, platform, .. } = self;
        let progress = || scheduler.progress::<C, P>(platform);
        work_until(*platform, self.faults, self.stall_us, progress, || {
            let moved = driver.step(context);
            match (scheduler.is_finished(), moved) {
                (true, _) => Polled::Done(()),
                (false, true) => Polled::Progress,
                (false, false) => Polled::Idle,
            }
        })
    }

    /// Run-time address of a kernel.
    #[inline]
    pub(crate) fn kernel_address(&self, func_id: i32) -> Result<u64, Fatal> {
        kernel_address(self.kernels, func_id).map_err(|missing| {
            self.fatal(
                StatusCode::KernelMissing,
                format_args!("a task names func_id {func_id}, but {missing}"),
            )
        })
    }
}
