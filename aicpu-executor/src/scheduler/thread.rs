//! One scheduler thread: a partition of the clusters, what runs on them, and the step that is repeated.
//!
//! What the reference has an AICPU thread for is here a state that any thread may drive
//! ([`partitions`](super::partitions)): it is stepped by one at a time, and a step never waits.

use core::marker::PhantomData;

use protocol::{Chip, Condition, ConditionWord, DispatchId};

use super::Scheduler;
use super::core_table::{CLUSTER_LIMIT, Cluster, CoreLocation, LANES, Payloads, RunningKernel};
use super::deferred::waiting_list::WaitingLists;
use super::deferred::{AfterFin, SCHEDULER_LIMIT};
use super::sync_start::Offer;
use super::task_store::{TaskHandle, TaskStore};
use crate::fault::FaultLatch;
use crate::platform::Platform;

/// Set of cores of one thread: bit `3 × cluster + lane`.
pub(crate) type CoreSet = u128;

/// What a thread's step works with.
#[derive(Debug)]
pub(crate) struct StepContext<'a, P: Platform, T: TaskStore> {
    pub(crate) platform: &'a P,
    pub(crate) faults: &'a FaultLatch,
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) tasks: &'a T,
    pub(crate) payloads: &'a Payloads,
    pub(crate) waiting: &'a WaitingLists,
}

impl<P: Platform, T: TaskStore> Clone for StepContext<'_, P, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform, T: TaskStore> Copy for StepContext<'_, P, T> {}

/// What runs on a core.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) task: TaskHandle,
    pub(super) id: DispatchId,
}

/// One core of the thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnedCore {
    pub(super) location: CoreLocation,
    running: Option<Running>,
    next_id: DispatchId,
}

/// One scheduler thread.
#[derive(Debug)]
pub(crate) struct SchedulerThread<C: Chip> {
    /// Index among the run's partitions.
    pub(crate) index: usize,
    cores: heapless::Vec<[OwnedCore; LANES], CLUSTER_LIMIT>,
    busy: CoreSet,
    all: CoreSet,
    /// What the thread has offered to a task whose blocks start together.
    pub(super) offer: Offer,
    /// Sub-tasks in the thread's waiting list.
    pub(super) deferred: u32,
    /// Cores whose sub-task has ended and found no room in that list; they are busy.
    pub(super) held_back: CoreSet,
    chip: PhantomData<C>,
}

impl<C: Chip> SchedulerThread<C> {
    /// Makes this partition `index` of `count`, with every `count`-th cluster, all of whose cores are idle.
    /// `next_id` says where the dispatches of a core go on.
    pub(crate) fn form(
        &mut self,
        index: usize,
        count: usize,
        clusters: &[Cluster],
        next_id: impl Fn(CoreLocation) -> DispatchId,
    ) {
        const { assert!(C::MAX_AICPU_THREADS <= SCHEDULER_LIMIT) };
        self.cores.clear();
        for cluster in clusters.iter().skip(index).step_by(count.max(1)) {
            let owned = cluster.map(|location| OwnedCore {
                location,
                running: None,
                next_id: next_id(location),
            });
            // There are no more clusters than the vector holds: `form_clusters` has the same limit.
            let _fits = self.cores.push(owned);
        }
        self.index = index;
        self.all = (1 << (self.cores.len() * LANES)) - 1;
        self.busy = 0;
        self.offer = Offer::default();
        self.deferred = 0;
        self.held_back = 0;
    }

    /// Begins a run where the last one has ended, well: no core has anything left.
    pub(crate) fn go_on(&mut self) {
        // Meetings are numbered within a run.
        self.offer = Offer::default();
    }

    /// Cores with nothing to do.
    pub(super) fn idle(&self) -> CoreSet {
        self.all & !self.busy
    }

    /// Whether the thread has nothing running and waits for no deferred sub-task.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy == 0 && self.deferred == 0
    }

    /// Completes what has finished and hands out what is ready. Returns whether anything moved.
    pub(crate) fn step<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> bool {
        let mut moved = self.collect(context);
        if self.deferred != 0 {
            moved |= self.poll_deferred(context);
        }
        match self.meet_sync_start(context) {
            Some(launched) => moved |= launched,
            None => moved |= self.dispatch_ready(context),
        }
        moved
    }

    /// Looks at the running cores and counts the sub-tasks that have finished.
    fn collect<P: Platform, T: TaskStore>(&mut self, context: StepContext<'_, P, T>) -> bool {
        let mut moved = false;
        let mut rest = self.busy;
        while rest != 0 {
            let bit = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let Some(core) = self.core_mut(bit) else { continue };
            let Some(running) = core.running else { continue };
            let word = context.platform.read_register(core.location.block, C::COND);
            if ConditionWord::from_raw(word).decode() != Ok(Condition::Fin(running.id)) {
                continue;
            }
            let location = core.location;
            context.platform.interleave();
            // What the kernel has deferred is known before its sub-task can be counted.
            // SAFETY: this thread owns the core and has seen its FIN.
            let left = unsafe {
                context.payloads.ingresses.left(context.platform, location.worker, running.id)
            };
            let after = match left {
                None => AfterFin::Count,
                Some(left) => self.defer(context, bit, running, left),
            };
            if after == AfterFin::HoldBack {
                continue;
            }
            if let Some(core) = self.core_mut(bit) {
                core.running = None;
            }
            context.scheduler.running().set(location.worker, None);
            self.busy &= !(1 << bit);
            if after == AfterFin::Count {
                context.platform.interleave();
                let StepContext { platform, faults, tasks, .. } = context;
                context.scheduler.finish_subtask(platform, tasks, faults, running.task);
            }
            moved = true;
        }
        moved
    }

    /// Hands one sub-task to an idle core.
    pub(super) fn assign<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        bit: usize,
        task: TaskHandle,
        assignment: super::core_table::Assignment,
    ) {
        let Some(found) = context.tasks.find(task) else { return };
        let Some(core) = self.core_mut(bit) else { return };
        let id = core.next_id;
        let worker = usize::from(core.location.worker);
        // SAFETY: this thread owns the core; it is idle, so both its buffers are free. The task is
        // published, and not complete while a sub-task is being handed out.
        let kernel_id =
            unsafe { context.payloads.fill(worker, id, context.tasks, (task, found), assignment) };
        core.running = Some(Running { task, id });
        let kernel = RunningKernel { func_id: kernel_id, graph_task: T::number(task) };
        context.scheduler.running().set(core.location.worker, Some(kernel));
        core.next_id = id.next();
        context.platform.write_register(core.location.block, C::DATA_MAIN_BASE, id.raw());
        self.busy |= 1 << bit;
    }

    pub(super) fn core_mut(&mut self, bit: usize) -> Option<&mut OwnedCore> {
        self.cores.get_mut(bit / LANES)?.get_mut(bit % LANES)
    }

    /// The thread's cores.
    pub(crate) fn locations(&self) -> impl Iterator<Item = CoreLocation> + Clone + '_ {
        self.cores.iter().flatten().map(|core| core.location)
    }
}
