//! Code that does not return: saying what a run waits for, and giving up on it.
//!
//! Nothing can stop code from outside. What can be done is to say which function it is, to end the
//! run for everybody else, and to close the slot of a constructor or destructor that hangs.
//!
//! A run is blamed only for calls into its own callable: others may be loading or unloading
//! meanwhile, and whoever started that watches it ([`Executor::running_call_of`]).

use core::fmt;

use protocol::{CallableId, Chip, StatusCode};

use super::Executor;
use super::setup::{Setup, Work};
use crate::orch_so_table::{ForeignFunction, RunningCall};
use crate::platform::Platform;

impl<C: Chip, P: Platform> Executor<C, P> {
    /// The call into code of a user that has been running for longest, if there is one; may be
    /// called at any time, from any thread. It may have returned when the caller looks.
    pub fn running_call(&self) -> Option<RunningCall> {
        self.table.longest_call(&self.platform)
    }

    /// The same, for one callable: what a thread that loads or unloads it is in.
    pub fn running_call_of(&self, id: CallableId) -> Option<RunningCall> {
        self.table.call_of(&self.platform, id)
    }

    /// The same, for the callable of the run that is under way.
    pub fn running_call_of_run(&self) -> Option<RunningCall> {
        self.running_call_of(self.active.get()?)
    }

    /// Gives up on a constructor or destructor of a callable that does not return: until it does,
    /// nobody enters, reloads or unloads the callable, and its memory is not used for anything
    /// else. If it comes back after all, its thread unloads the callable, and the id is free.
    ///
    /// False if none is running any more; nothing changes then.
    pub fn quarantine(&self, id: CallableId) -> bool {
        self.table.quarantine(id)
    }

    /// Whether the run that is under way has a fault: its threads leave.
    pub fn has_fault(&self) -> bool {
        self.faults.is_raised()
    }

    /// A number that changes whenever the run that is under way moves; may be called at any time, from any
    /// thread.
    pub fn moves(&self) -> u64 {
        self.scheduler.moves()
    }

    /// Whether the run that is under way has ready tasks that wait for a core or for a thread that
    /// hands them out; may be called at any time, from any thread.
    pub fn has_ready_tasks(&self) -> bool {
        self.scheduler.has_ready()
    }

    /// Whether blocks of a task of many wait so, which other threads can hand out without looking at much; as
    /// [`has_ready_tasks`](Self::has_ready_tasks).
    pub fn has_ready_blocks(&self) -> bool {
        self.scheduler.has_blocks()
    }

    /// Ends a run that is over its time limit, with a fault that says what it hangs in if that is
    /// a function of the orchestration other than its entry, what task of a graph is on a core, and
    /// what deferred tasks wait for.
    ///
    /// For the host that watches the run. An earlier fault stays. A constructor or destructor that
    /// is running is given up on, as [`quarantine`](Self::quarantine) does.
    pub fn report_time_limit(&self, limit_ms: u128) {
        let clause = self.scheduler.waits_for().of_graph_or_deferred();
        let limit = format_args!("the run did not end within its limit of {limit_ms} ms{clause}");
        match self.running_call_of_run() {
            // It may well be waiting for its tasks.
            Some(RunningCall { function: ForeignFunction::Entry, .. }) | None => {
                self.report_fault(StatusCode::SchedulerTimeout.code(), limit);
            }
            Some(call) => self.give_up(&call, limit),
        }
    }

    /// Says what a run that does not move is waiting for.
    pub(super) fn report_stall(&self, setup: &Setup) {
        let completed = self.scheduler.completed();
        let milliseconds = setup.stall_us / 1000;
        let code = StatusCode::SchedulerTimeout.code();
        let stall = format_args!("no progress for {milliseconds} ms after {completed} tasks");
        let waits_for = self.scheduler.waits_for();
        let deferred = waits_for.deferred;
        if deferred.held_back > 0 {
            let code = StatusCode::AsyncWaitOverflow.code();
            self.report_fault(code, format_args!("{stall}: {deferred}"));
            return;
        }
        if waits_for.suspect.is_some() {
            self.report_fault(code, format_args!("{stall}{waits_for}"));
            return;
        }
        if let Work::Graph(open) = &setup.work {
            match deferred.is_empty() {
                true => self.report_waiting_tasks(open, stall),
                false => self.report_fault(code, format_args!("{stall}: {deferred}")),
            }
            return;
        }
        match self.running_call_of_run() {
            Some(call) if call.function != ForeignFunction::Entry => self.give_up(&call, stall),
            _ if !deferred.is_empty() => {
                self.report_fault(code, format_args!("{stall}: {deferred}"))
            }
            _ if !self.scheduler.is_total_known() => self.report_fault(
                code,
                format_args!("{stall}: the orchestration has not returned and submits nothing"),
            ),
            _ => self.report_fault(code, stall),
        }
    }

    /// Reports a call that does not return.
    fn give_up(&self, call: &RunningCall, what_happened: fmt::Arguments<'_>) {
        let code = match call.function {
            ForeignFunction::Constructor { .. } => StatusCode::ConstructorTimeout,
            ForeignFunction::Destructor { .. } => StatusCode::DestructorTimeout,
            _ => StatusCode::SchedulerTimeout,
        };
        // Before the slot is closed: the thread that finds it closed has nothing more to say.
        let milliseconds = call.running_us / 1000;
        self.report_fault(
            code.code(),
            format_args!("{what_happened}: {call} has not returned after {milliseconds} ms"),
        );
        if code != StatusCode::SchedulerTimeout {
            self.quarantine(call.callable);
        }
    }
}
