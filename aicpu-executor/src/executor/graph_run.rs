//! The run of a graph that the host has built (spec hbg A1): set up, scheduled by all threads, noted.
//!
//! ```text
//!  first ──► set up: graph, patches, cores ──► gate opens ──► roots ──► schedule ──► out
//!  others, whenever they come ─────────────────────────────────────────► schedule ──► out
//! ```
//!
//! No orchestration takes part, so no slot of a callable is entered or needed, and no thread is kept
//! from scheduling. The callable that the record names is the host's affair: a run is blamed for calls into code
//! of a user, and there are none here.

use core::sync::atomic::Ordering;

use protocol::{Chip, GraphRun, MAX_FUNC_IDS, RuntimeBody, StatusCode};

use super::Executor;
use super::setup::{Setup, Work};
use crate::graph::{OpenGraph, open};
use crate::platform::Platform;
use crate::scheduler::partitions::Driver;

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Opens the graph that the record names. Faults go to the latch.
    pub(super) fn open_graph(&self, body: &RuntimeBody) -> Option<OpenGraph> {
        let kernels: *const [u64; MAX_FUNC_IDS] = &raw const body.func_id_to_addr;
        // SAFETY: the record stays as it is until all threads have returned; `'static` stands for that
        // time, and `Setup` is dropped at its end.
        let kernels = unsafe { &*kernels };
        let run = GraphRun::read_from(body);
        // SAFETY: what the record names is live device memory, as for every run; this thread is alone in
        // the run.
        unsafe { open(&self.platform, &self.scheduler, &self.faults, run, kernels) }.ok()
    }

    /// Plays the role of the `index`-th thread to come: to schedule.
    pub(super) fn take_part_with_graph(
        &self,
        (setup, open): (&Setup, &OpenGraph),
        index: usize,
        driver: Driver<'_, C>,
    ) {
        if index == 0 && !self.faults.is_raised() {
            self.begin_graph(open);
        }
        self.schedule(setup, &open.graph, driver);
    }

    /// Makes the tasks ready that wait for nothing.
    fn begin_graph(&self, open: &OpenGraph) {
        let tasks = open.graph.task_count();
        // ORDERING: Relaxed: read after the threads have been joined.
        self.tasks.store(tasks, Ordering::Relaxed);
        self.scheduler.set_total(tasks);
        let Self { platform, scheduler, faults, .. } = self;
        scheduler.make_roots_ready(platform, &open.graph, faults, open.graph.roots());
    }

    /// Notes what the run leaves clean. Only its last thread.
    pub(super) fn note_end(&self, work: &Work) {
        if self.faults.is_raised() {
            // SAFETY: (both) all threads of the run have departed but this one.
            unsafe {
                self.forget_cores();
                // If only because of the codes in its header.
                (*self.left_clean.get()).region = None;
            }
            return;
        }
        // SAFETY: as above.
        unsafe { (*self.left_clean.get()).cores = true };
        if let Work::Graph(open) = work
            && self.scheduler.is_finished()
        {
            open.note_success(self.scheduler.queue_positions());
        }
    }

    /// Says what the run of a graph waits for that does not move, where neither a core nor a deferred
    /// task is known to be busy.
    pub(super) fn report_waiting_tasks(&self, open: &OpenGraph, stall: core::fmt::Arguments<'_>) {
        let code = StatusCode::SchedulerTimeout.code();
        match open.graph.waiting_tasks(open.runs) {
            Some(waiting) => self.report_fault(code, format_args!("{stall}: {waiting}")),
            None => self.report_fault(code, stall),
        }
    }
}

#[cfg(test)]
mod tests;
