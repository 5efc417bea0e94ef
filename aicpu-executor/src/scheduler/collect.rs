//! Which cores have finished, and what becomes of their tasks.
//!
//! A step first looks at all its running cores, then counts what they have finished: the sub-tasks
//! of one task together, a task of one sub-task not at all. The consumers that become ready stay
//! with the thread (`released`), and the step's counts are published once, at the end.

use protocol::{Chip, ConditionWord};

use super::core_table::{CORE_LIMIT, CoreLocation};
use super::deferred::AfterFin;
use super::task_store::{TaskHandle, TaskStore};
use super::thread::{CoreSet, SchedulerThread, StepContext};
use crate::platform::Platform;

/// Tasks that are looked through for the one of a sub-task.
const SOUGHT: usize = 4;

/// Sub-tasks of one task that have finished.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    pub(super) task: TaskHandle,
    pub(super) subtasks: u32,
    /// Whether the task has no other.
    pub(super) is_sole: bool,
}

/// What a step has found finished.
#[derive(Debug, Default)]
struct FinishedTasks(heapless::Vec<Finished, CORE_LIMIT>);

impl FinishedTasks {
    #[inline]
    fn add(&mut self, task: TaskHandle, is_sole: bool) {
        if !is_sole {
            // None of the sub-tasks here is counted, so equal handles are one task.
            let recent = self.0.iter_mut().rev().take(SOUGHT);
            let same = |finished: &&mut Finished| finished.task == task && !finished.is_sole;
            if let Some(finished) = { recent }.find(same) {
                finished.subtasks += 1;
                return;
            }
        }
        // There are no more than cores.
        let _fits = self.0.push(Finished { task, subtasks: 1, is_sole });
    }
}

impl<C: Chip> SchedulerThread<C> {
    /// Looks at the running cores and counts the sub-tasks that have finished.
    pub(super) fn collect<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> bool {
        let mut finished = FinishedTasks::default();
        let before = self.busy;
        // CAST (both): the halves of the set; arithmetic on them is that of one register.
        let (low, high) = (before as u64, (before >> 64) as u64);
        let low = self.collect_half(context, &mut finished, 0, low);
        let high = match high {
            0 => 0,
            _ => self.collect_half(context, &mut finished, 64, high),
        };
        self.busy &= !(CoreSet::from(low) | CoreSet::from(high) << 64);
        let moved = self.busy != before;
        if moved {
            self.finish(context, &finished.0);
        }
        moved
    }

    /// The same for those cores from bit `first` that are in `rest`. Returns the ones that have nothing to do now.
    #[inline]
    fn collect_half<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        finished: &mut FinishedTasks,
        first: usize,
        mut rest: u64,
    ) -> u64 {
        let mut ended = 0;
        while rest != 0 {
            let bit = first + rest.trailing_zeros() as usize;
            let lowest = rest & rest.wrapping_neg();
            rest ^= lowest;
            let Some(core) = self.core_mut(bit) else { continue };
            let word = context.platform.read_register(core.location.block, C::COND);
            if word != ConditionWord::fin(core.running.id).raw() {
                continue;
            }
            let (CoreLocation { worker, .. }, running) = (core.location, core.running);
            context.platform.interleave();
            // What the kernel has deferred is known before its sub-task can be counted.
            // SAFETY: this thread owns the core and has seen its FIN.
            let left =
                unsafe { context.payloads.ingresses.left(context.platform, worker, running.id) };
            let after = match left {
                None => AfterFin::Count,
                Some(left) => self.defer(context, bit, running, left),
            };
            if after == AfterFin::HoldBack {
                continue;
            }
            context.scheduler.running().set(worker, None);
            ended |= lowest;
            if after == AfterFin::Count {
                finished.add(running.task, running.is_sole);
            }
        }
        ended
    }

    /// Counts finished sub-tasks, and completes the tasks whose last one is among them.
    pub(super) fn finish<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        finished: &[Finished],
    ) {
        let StepContext { platform, tasks, scheduler, completer, .. } = context;
        let mut completed = 0;
        for Finished { task: handle, subtasks, is_sole } in finished.iter().copied() {
            platform.interleave();
            let Some(task) = tasks.find(handle) else { continue };
            if !is_sole && !tasks.count_subtasks(task, subtasks) {
                continue;
            }
            platform.interleave();
            let released = &mut self.released;
            let ready = |consumer, shape| released.add(context.sink(), consumer, shape);
            // SAFETY: sub-tasks are those of published tasks; the last one is counted once, and until
            // then the task is not complete. The context is this thread's.
            unsafe { tasks.complete(platform, handle, task, completer, ready) };
            completed += 1;
        }
        platform.interleave();
        scheduler.count(self.index, completed);
    }
}
