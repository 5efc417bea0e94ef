//! What a thread does in a run: it waits until the run is set up, plays its role, and goes.

use protocol::{Chip, RuntimeRecord, StatusCode};

use super::roll::Arrival;
use super::setup::{Setup, Work};
use super::{Executor, extension};
use crate::log::Speaker;
use crate::platform::Platform;
use crate::scheduler::partitions::Driver;
use crate::scheduler::task_store::{Completer, TaskStore};
use crate::scheduler::thread::StepContext;
use crate::wait::{Deadline, Polled, WaitEnd, wait_despite_faults, work_until};

/// How long threads wait for the one that sets up. TIMEOUT: its own waits (the handshake) are
/// shorter; this one only ends if that thread was lost.
const SETUP_US: u64 = 30_000_000;

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Takes part in the run of `runtime`, which has a number, beyond the threads that it is for: schedules,
    /// if the run is under way. For a machine that finds that a run has more to do than its threads
    /// can, or that they do not move.
    ///
    /// Returns as [`execute`](Self::execute), and 0 if there is nothing to help with.
    pub fn help(&self, runtime: &C::Runtime) -> i32 {
        let extension = extension(runtime.body());
        let run = extension.map_or(0, |extension| extension.run_number);
        if run == 0 {
            return 0;
        }
        self.platform.interleave();
        match self.gate.join(run) {
            Arrival::Member { index } => {
                self.platform.begin_speaking(Speaker::in_run(runtime.body(), extension, index));
                let code = self.be_in_run(runtime, run, (index, usize::MAX));
                self.platform.end_speaking();
                code
            }
            Arrival::Surplus | Arrival::Busy => 0,
        }
    }

    /// What the `index`-th thread of `count` does from when it may enter to its departure.
    pub(super) fn be_in_run(
        &self,
        runtime: &C::Runtime,
        run: u32,
        (index, count): (usize, usize),
    ) -> i32 {
        if index == 0 || self.await_open() {
            self.take_part(runtime, index);
        }
        // Who comes from here on finds the run over by itself.
        if self.gate.is_shared(run) {
            self.platform.wake_peers();
        }
        self.platform.interleave();
        if self.gate.depart(run, count) {
            self.platform.interleave();
            self.tear_down(runtime.body(), run);
        }
        -self.faults.code()
    }

    /// Waits for the gate to open. Returns false if there is nothing to do any more.
    fn await_open(&self) -> bool {
        // A fault does not end this wait: the thread that sets up always opens the gate. (It also
        // clears faults of an earlier run, so the latch of the run is not the one to look at yet.)
        let deadline = Deadline::after(&self.platform, SETUP_US);
        let opened =
            wait_despite_faults(&self.platform, deadline, || self.gate.is_open().then_some(()));
        if opened.is_none() {
            self.faults.report(
                StatusCode::SchedulerTimeout.code(),
                format_args!("the run was not set up within {} s", SETUP_US / 1_000_000),
            );
        }
        opened.is_some()
    }

    /// Plays the role of the `index`-th thread to come.
    fn take_part(&self, runtime: &C::Runtime, index: usize) {
        // SAFETY: the gate is open: nobody writes the setup until all threads have left.
        let Some(setup) = (unsafe { (*self.setup.get()).as_ref() }) else { return };
        let driver = Driver::new(&self.partitions, index);
        match &setup.work {
            Work::Rings(rings) if index == 0 => self.orchestrate(runtime, (setup, rings), driver),
            Work::Rings(rings) => self.schedule(setup, &rings.region, driver),
            Work::Graph(open) => self.take_part_with_graph((setup, open), index, driver),
        }
    }

    /// Schedules until the run is finished or has a fault.
    pub(super) fn schedule(
        &self,
        setup: &Setup,
        tasks: &impl TaskStore,
        mut driver: Driver<'_, C>,
    ) {
        let context = StepContext {
            platform: &self.platform,
            faults: &self.faults,
            scheduler: &self.scheduler,
            tasks,
            payloads: &self.payloads,
            waiting: &self.waiting,
            // The orchestrator steps in its waits only.
            completer: Completer::Scheduler,
        };
        let stall_us = match setup.work {
            // An orchestration that waits knows best what for, so it has the first word.
            Work::Rings(_) => setup.stall_us.saturating_add(setup.stall_us / 8),
            Work::Graph(_) => setup.stall_us,
        };
        let end = work_until(
            &self.platform,
            &self.faults,
            stall_us,
            || self.scheduler.progress::<C, P>(&self.platform),
            || {
                // A finished run has all its sub-tasks collected: no core has anything left.
                match driver.step(context) {
                    true => Polled::Progress,
                    false if self.scheduler.is_finished() => Polled::Done(()),
                    false => Polled::Idle,
                }
            },
        );
        if end == Err(WaitEnd::TimedOut) {
            self.report_stall(setup);
        }
    }
}
