//! Deferred completion: a kernel returns, and its sub-task is finished when conditions hold.
//!
//! A kernel leaves conditions in its ingress buffer (spec trb §5.8, §8.3). Somebody else makes them
//! true: another kernel, another device, a copy engine. The core is free for other work meanwhile.
//!
//! | file | what |
//! |---|---|
//! | `ingress` | the buffers that kernels write, two a core |
//! | `condition` | what a condition must look like, and whether it holds |
//! | `waiting_list` | the conditions that a scheduler thread waits for |
//! | `notice` | what each thread waits for, for reports of any thread |
//!
//! # No sub-task completes early
//!
//! The ingress is looked at after the core's FIN and *before* the sub-task is counted. If a
//! condition does not hold yet, the sub-task moves from its core into the list of the thread that
//! owns the core, and that thread counts it ([`SchedulerThread::finish`]) when its last
//! condition holds. So at any time a sub-task is in one place: not handed out, on a core, in one
//! list, or counted. The count of a task ends when all its sub-tasks are counted, each after all of
//! its own conditions, whatever threads they were on and in whatever order they came: what the
//! reference gets wrong by counting first and registering later (spec trb §14.1 item 3) cannot be
//! written down here. Nothing is shared, so nothing is locked: a kernel that defers nothing costs
//! one load of its core's ingress.
//!
//! # A full list
//!
//! A sub-task whose conditions do not fit stays on its core, which gets no other work: back-pressure
//! that ends as soon as conditions hold. If nothing moves any more, the stall is reported as
//! [`AsyncWaitOverflow`](StatusCode::AsyncWaitOverflow), since the room may be what is missing.
//!
//! # What counts as progress
//!
//! Counters are written from outside, so a run may wait without anything of its own moving. Any
//! change of a watched value is progress and starts the stall budget anew; a peer is given up when
//! no value has changed for the whole of it. Whoever would report a stall looks at one value of each
//! thread itself, should the thread have had no processor to do so. A value that changes for ever and never suffices ends
//! with the host's time limit. Values are watched from when they are in the list: not those of a
//! sub-task that a full list keeps on its core.

use core::fmt;

use protocol::{Chip, MAX_DEFERRED_CONDITIONS, StatusCode, TaskId};

use super::collect::Finished;
use super::task_store::{TaskName, TaskStore};
use super::thread::{CoreSet, Running, SchedulerThread, StepContext};
use crate::platform::Platform;

pub(crate) mod condition;
pub(crate) mod ingress;
pub(crate) mod notice;
pub(crate) mod waiting_list;

use condition::{Condition, Flaw, Sight};
use ingress::Left;
use notice::{Example, Notice};
use waiting_list::{Subtask, WaitingList};

/// Most scheduler threads of a run on any chip (a5: 7 AICPU threads, all of which schedule where none
/// orchestrates).
pub(crate) const SCHEDULER_LIMIT: usize = 7;

/// What is to be done with a core whose kernel has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFin {
    /// The sub-task is finished: free the core and count it.
    Count,
    /// Free the core; the sub-task is counted later, or never since the run has a fault.
    Free,
    /// Leave everything as it is and look again.
    HoldBack,
}

/// A condition as it was found at registration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registered {
    /// The condition.
    pub(super) condition: Condition,
    /// Its number within the sub-task, from 0.
    pub(super) index: u8,
    /// How it stands.
    pub(super) sight: Sight,
}

/// The conditions of one sub-task.
type Conditions = heapless::Vec<Registered, MAX_DEFERRED_CONDITIONS>;

impl<C: Chip> SchedulerThread<C> {
    /// Takes over what a kernel has left in its ingress.
    #[cold]
    pub(super) fn defer<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        bit: usize,
        running: Running,
        left: Left,
    ) -> AfterFin {
        let Some(subtask) = self.subtask(context, bit, running) else { return AfterFin::Count };
        let (worker, buffer) = (subtask.worker, running.id.buffer());
        let faulty = |code: i32, text: fmt::Arguments<'_>| {
            context.faults.report(code, text);
            // SAFETY: this thread owns the core, which has ended this dispatch.
            unsafe { context.payloads.ingresses.clear(context.platform, worker, buffer) };
            AfterFin::Free
        };
        let named = NamedSubtask::new(context, &subtask);
        if left.error_code != 0 {
            let name = StatusCode::from_code(left.error_code).map_or("its own", StatusCode::name);
            return faulty(
                left.error_code,
                format_args!(
                    "{named} deferred its completion with error {} ({name}), after {} conditions",
                    left.error_code, left.count
                ),
            );
        }
        if left.count as usize > MAX_DEFERRED_CONDITIONS {
            return faulty(
                StatusCode::AsyncRegistrationFailed.code(),
                format_args!(
                    "{named} left {} conditions; its buffer has {MAX_DEFERRED_CONDITIONS}",
                    left.count
                ),
            );
        }
        let mut conditions = Conditions::new();
        for index in 0..left.count {
            // SAFETY: this thread owns the core, which has ended this dispatch; index < capacity.
            let entry = unsafe {
                context.payloads.ingresses.entry(
                    context.platform,
                    subtask.worker,
                    running.id,
                    index,
                )
            };
            match Condition::check::<C>(&entry) {
                Ok(condition) => {
                    let sight = condition.look::<C, P>(context.platform);
                    // CAST: at most 64. There is room for all.
                    let index = index as u8;
                    let _fits = conditions.push(Registered { condition, index, sight });
                }
                Err(flaw) => {
                    return faulty(
                        flaw.status().code(),
                        format_args!("{}", FlawOf { named, index, count: left.count, flaw }),
                    );
                }
            }
        }
        self.register(context, bit, running, subtask, &conditions)
    }

    /// Puts a sub-task's conditions into the thread's list, as far as they do not hold already.
    fn register<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        bit: usize,
        running: Running,
        subtask: Subtask,
        conditions: &Conditions,
    ) -> AfterFin {
        // SAFETY: this is the thread of that index, and it holds no other reference to its list.
        let Some(list) = (unsafe { context.waiting.list(self.index) }) else {
            return AfterFin::HoldBack;
        };
        let unmet = conditions.iter().filter(|registered| !registered.sight.holds).count();
        let bit: CoreSet = 1 << bit;
        if unmet > list.room() {
            if self.held_back & bit == 0 {
                self.held_back |= bit;
                self.publish_notice(context, list);
            }
            return AfterFin::HoldBack;
        }
        for registered in conditions.iter().filter(|registered| registered.sight.holds) {
            if let Err(flaw) = registered.condition.retire(context.platform) {
                let named = NamedSubtask::new(context, &subtask);
                // CAST: at most 64.
                let (index, count) = (u32::from(registered.index), conditions.len() as u32);
                context.faults.report(
                    flaw.status().code(),
                    format_args!("{}", FlawOf { named, index, count, flaw }),
                );
                return AfterFin::Free;
            }
        }
        // SAFETY: this thread owns the core, which has ended the dispatch; all has been copied.
        unsafe {
            context.payloads.ingresses.clear(context.platform, subtask.worker, running.id.buffer())
        };
        let was_held_back = self.held_back & bit != 0;
        self.held_back &= !bit;
        if unmet == 0 {
            if was_held_back {
                self.publish_notice(context, list);
            }
            return AfterFin::Count;
        }
        context.platform.interleave();
        list.add(subtask, conditions);
        self.publish_notice(context, list);
        self.deferred = list.subtasks();
        context.scheduler.count(self.index, 0);
        AfterFin::Free
    }

    /// Looks at conditions this thread waits for, and counts the sub-tasks whose last one holds.
    /// Returns whether anything moved.
    #[cold]
    pub(super) fn poll_deferred<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> bool {
        // SAFETY: this is the thread of that index, and it holds no other reference to its list.
        let Some(list) = (unsafe { context.waiting.list(self.index) }) else { return false };
        let polled = list.poll::<C, P>(context.platform, |task| {
            context.platform.interleave();
            self.finish(context, &[Finished { task, subtasks: 1, is_sole: false }]);
        });
        match polled {
            Ok(false) => false,
            Ok(true) => {
                self.deferred = list.subtasks();
                self.publish_notice(context, list);
                context.scheduler.count(self.index, 0);
                true
            }
            Err(flawed) => {
                let named = NamedSubtask::new(context, &flawed.subtask);
                let (index, count) = (flawed.index.into(), flawed.subtask.conditions.into());
                let flaw = flawed.flaw;
                context.faults.report(
                    flaw.status().code(),
                    format_args!("{}", FlawOf { named, index, count, flaw }),
                );
                true
            }
        }
    }

    /// Which sub-task a core has ended.
    fn subtask<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        bit: usize,
        running: Running,
    ) -> Option<Subtask> {
        let worker = self.core_mut(bit)?.location.worker;
        // SAFETY: this thread owns the core, which has ended this dispatch.
        let block = unsafe { context.payloads.block(worker, running.id) };
        let running_kernel = context.scheduler.running().on(worker);
        let kernel_id = running_kernel.map_or(-1, |kernel| kernel.func_id);
        Some(Subtask::new(running.task, kernel_id, block, worker))
    }

    /// Shows the others what this thread waits for.
    fn publish_notice<P: Platform, T: TaskStore>(
        &self,
        context: StepContext<'_, P, T>,
        list: &WaitingList,
    ) {
        let example = list.first().map(|(subtask, waiting)| Example {
            named: NamedSubtask::new(context, subtask),
            count: subtask.conditions,
            index: waiting.index,
            condition: waiting.condition,
            value: waiting.seen,
        });
        let notice = Notice {
            subtasks: list.subtasks(),
            conditions: list.conditions(),
            held_back: self.held_back.count_ones(),
            example,
        };
        context.scheduler.deferred.publish(self.index, notice);
    }
}

/// A sub-task in a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamedSubtask {
    task: TaskName,
    subtask: Subtask,
}

impl NamedSubtask {
    fn new<P: Platform, T: TaskStore>(context: StepContext<'_, P, T>, subtask: &Subtask) -> Self {
        let unknown = TaskName::OfRing(TaskId::INVALID);
        let task = context.tasks.find(subtask.task).map_or(unknown, |task| {
            // SAFETY: a task with a sub-task that is not counted is published and not complete.
            unsafe { context.tasks.name(subtask.task, task) }
        });
        Self { task, subtask: *subtask }
    }
}

impl fmt::Display for NamedSubtask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subtask { kernel_id, block, worker, .. } = self.subtask;
        let task = self.task;
        write!(f, "the kernel of func_id {kernel_id} ({task}, block {block}, core {worker})")
    }
}

/// A condition that makes no sense, in a message.
struct FlawOf {
    named: NamedSubtask,
    index: u32,
    count: u32,
    flaw: Flaw,
}

impl fmt::Display for FlawOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { named, index, count, flaw } = self;
        write!(f, "deferred condition {index} (of {count}, from 0) of {named}: {flaw}")
    }
}
