//! One scheduler thread: a partition of the clusters, what runs on them, and the step that is repeated.
//!
//! What the reference has an AICPU thread for is here a state that any thread may drive
//! ([`partitions`](super::partitions)): it is stepped by one at a time, and a step never waits.

use core::marker::PhantomData;

use protocol::{Chip, DispatchId, TaskId};

use super::Scheduler;
use super::core_table::{CORE_LIMIT, Cluster, CoreLocation, Payloads};
use super::deferred::SCHEDULER_LIMIT;
use super::deferred::waiting_list::WaitingLists;
use super::released::{ReleasedTasks, Sink};
use super::run_counters::ORCHESTRATOR;
use super::sync_start::Offer;
use super::task_store::{Completer, TaskHandle, TaskStore};
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
    /// Which thread this is.
    pub(crate) completer: Completer,
}

impl<P: Platform, T: TaskStore> Clone for StepContext<'_, P, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform, T: TaskStore> Copy for StepContext<'_, P, T> {}

impl<'a, P: Platform, T: TaskStore> StepContext<'a, P, T> {
    /// Where tasks are shared with other threads.
    pub(super) fn sink(&self) -> Sink<'a, P, T> {
        let Self { platform, faults, scheduler, tasks, .. } = *self;
        Sink { scheduler, platform, tasks, faults }
    }
}

/// What a core was given last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) task: TaskHandle,
    pub(super) id: DispatchId,
    /// Whether the task has no other sub-task.
    pub(super) is_sole: bool,
}

/// What a payload of a core is filled with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    /// The run, 0 for none, and the task.
    pub(super) run: u64,
    pub(super) task: TaskId,
    pub(super) func_id: i32,
}

/// One core of the thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnedCore {
    pub(super) location: CoreLocation,
    /// What it runs, while it is busy.
    pub(super) running: Running,
    pub(super) next_id: DispatchId,
    /// Its payloads of tasks that have more blocks.
    pub(super) filled: [Filled; 2],
}

impl OwnedCore {
    fn new(location: CoreLocation, next_id: DispatchId) -> Self {
        let running = Running { task: TaskHandle::from_raw(0), id: next_id, is_sole: false };
        Self { location, running, next_id, filled: [Filled::default(); 2] }
    }
}

/// One scheduler thread.
#[derive(Debug)]
pub(crate) struct SchedulerThread<C: Chip> {
    /// Index among the run's partitions.
    pub(crate) index: usize,
    /// Three for each cluster, in the order of their bits.
    cores: heapless::Vec<OwnedCore, CORE_LIMIT>,
    pub(super) busy: CoreSet,
    all: CoreSet,
    /// Tasks that this thread has made ready in the step under way.
    pub(super) released: ReleasedTasks,
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
        const { assert!(C::MAX_AICPU_THREADS <= SCHEDULER_LIMIT && SCHEDULER_LIMIT <= ORCHESTRATOR) };
        self.cores.clear();
        for location in clusters.iter().skip(index).step_by(count.max(1)).flatten() {
            // There are no more clusters than the vector holds: `form_clusters` has the same limit.
            let _fits = self.cores.push(OwnedCore::new(*location, next_id(*location)));
        }
        self.index = index;
        self.all = (1 << self.cores.len()) - 1;
        self.busy = 0;
        self.released = ReleasedTasks::default();
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
        let mut moved = self.busy != 0 && self.collect(context);
        if self.deferred != 0 {
            moved |= self.poll_deferred(context);
        }
        // The last tasks of a run leave nothing to hand out.
        if moved && self.is_idle() && context.scheduler.is_finished() {
            return true;
        }
        match self.meet_sync_start(context) {
            Some(launched) => moved |= launched,
            None => moved |= self.dispatch_ready(context),
        }
        self.released.share_all(context.sink());
        moved
    }

    #[inline]
    pub(super) fn core_mut(&mut self, bit: usize) -> Option<&mut OwnedCore> {
        self.cores.get_mut(bit)
    }

    /// The thread's cores.
    pub(crate) fn locations(&self) -> impl Iterator<Item = CoreLocation> + Clone + '_ {
        self.cores.iter().map(|core| core.location)
    }
}
