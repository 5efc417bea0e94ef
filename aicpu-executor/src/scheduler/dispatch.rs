//! Which core gets which block of which ready task.
//!
//! Tasks of two or more lanes go first: they need all their lanes idle in one cluster, which
//! streams of one-lane tasks would otherwise keep from ever happening. For the same reason a
//! thread that has found no cluster for a waiting mixed task keeps its first cluster free of
//! one-lane tasks until the mixed queue is empty.
//!
//! A thread takes first what it has made ready itself, then blocks of the task whose turn it is, then
//! what has waited longest in the queue. A holder that cannot place all blocks of its task puts the
//! rest up for all threads (`block_board`) before it fills its cores.
//!
//! Blocks of a task differ in their numbers only: a payload that the task has filled before gets the
//! number of the block and nothing else.

use core::ops::Range;

use protocol::{Chip, ResourceShape};

use super::core_table::{Assignment, CoreLocation, LANES, RunningKernel};
use super::meeting_point::Request;
use super::released::Refilled;
use super::task_store::{TaskHandle, TaskLaunch, TaskStore};
use super::thread::{CoreSet, Filled, Running, SchedulerThread, StepContext};
use crate::platform::Platform;

/// Bit 0 of every cluster: the AIC lanes.
const AIC_LANES: CoreSet = {
    let mut lanes = 0;
    let mut bit = 0;
    while bit < CoreSet::BITS as usize {
        lanes |= 1 << bit;
        bit += LANES;
    }
    lanes
};
/// Bits 1 and 2 of every cluster: the AIV lanes. (Bits beyond the last whole cluster are never
/// idle.)
const AIV_LANES: CoreSet = (AIC_LANES << 1) | (AIC_LANES << 2);

/// A cluster's three bits.
const CLUSTER_LANES: CoreSet = 0b111;

/// A task that the thread has blocks of, or holds, with what placing it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<T> {
    pub(super) handle: TaskHandle,
    pub(super) task: T,
    pub(super) launch: TaskLaunch,
}

impl<T: Copy> Candidate<T> {
    /// Looks a task up that is published and not complete.
    pub(super) fn find<P: Platform>(
        context: StepContext<'_, P, impl TaskStore<Task = T>>,
        handle: TaskHandle,
    ) -> Option<Self> {
        let task = context.tasks.find(handle)?;
        // SAFETY: a task that was ready, and of which a sub-task is not finished, is published and not
        // complete.
        let launch = unsafe { context.tasks.launch(handle, task) };
        Some(Self { handle, task, launch })
    }
}

impl<C: Chip> SchedulerThread<C> {
    /// Gives idle cores to ready tasks, all shapes. Returns whether any was given.
    pub(super) fn dispatch_ready<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> bool {
        let (mut moved, mut open) = (false, self.idle());
        let mixed = ResourceShape::Mix as usize;
        if self.is_work(context, mixed) {
            moved = self.dispatch_waiting::<P, T, true>(context, ResourceShape::Mix, open);
            // What has found no cluster counts as waiting here.
            self.released.share(context.sink(), mixed);
            open = self.idle();
            if !context.scheduler.is_idle(mixed) {
                open &= !CLUSTER_LANES;
            }
        }
        // Odd threads look at the vector tasks first, so that the threads do not all drain one
        // queue and starve the other.
        let order = if self.index.is_multiple_of(2) {
            [ResourceShape::Aic, ResourceShape::Aiv]
        } else {
            [ResourceShape::Aiv, ResourceShape::Aic]
        };
        for shape in order {
            moved |= self.dispatch_shape(context, shape, open & self.idle());
        }
        moved
    }

    /// Gives cores of `open` to ready tasks of one shape that is not mixed.
    fn dispatch_shape<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        shape: ResourceShape,
        open: CoreSet,
    ) -> bool {
        if !self.is_work(context, shape as usize) {
            return false;
        }
        // What one lane can go to stays so: the set is looked at as it is from here on.
        let open = places(open, shape, lanes_wanted(shape));
        self.dispatch_waiting::<P, T, false>(context, shape, open)
    }

    /// Whether there seems to be a ready task of a shape. Most looks find none, and cost little.
    #[inline]
    fn is_work<P: Platform, T: TaskStore>(
        &self,
        context: StepContext<'_, P, T>,
        shape: usize,
    ) -> bool {
        self.released.has(shape) || context.scheduler.has_work(context.tasks, shape)
    }

    /// The same, where there seems to be one. Of a shape that is not mixed, `open` has the places only.
    #[inline(never)]
    fn dispatch_waiting<P: Platform, T: TaskStore, const IS_MIX: bool>(
        &mut self,
        context: StepContext<'_, P, T>,
        shape: ResourceShape,
        mut open: CoreSet,
    ) -> bool {
        let at = shape as usize;
        let wanted_of = |open| if IS_MIX { places(open, shape, lanes_wanted(shape)) } else { open };
        let (mut moved, mut is_drained) = (false, false);
        let mut wanted = wanted_of(open);
        while wanted != 0 {
            context.platform.interleave();
            let taken = if let Some(handle) = self.released.take(at) {
                let Some(candidate) = Candidate::find(context, handle) else { continue };
                if IS_MIX {
                    let places = places(open, shape, candidate.launch.lanes);
                    self.place(context, &candidate, places)
                } else if candidate.launch.is_sole() {
                    self.place_sole(context, candidate, wanted)
                } else {
                    self.place(context, &{ candidate }, wanted)
                }
            } else if let Some(taken) = self.claim_waiting(context, shape, open) {
                taken
            } else if is_drained {
                break;
            } else {
                let filled = self.refill(context, shape, wanted);
                if filled == Refilled::Nothing {
                    break;
                }
                // What comes into the queue from now on is for the next step.
                is_drained = filled == Refilled::Last;
                continue;
            };
            if taken == 0 {
                break;
            }
            moved = true;
            open &= !taken;
            wanted = wanted_of(open);
        }
        moved
    }

    /// Takes tasks from a queue, not more than there are places for.
    #[inline(never)]
    fn refill<P: Platform, T: TaskStore>(
        &mut self,
        StepContext { scheduler, tasks, .. }: StepContext<'_, P, T>,
        shape: ResourceShape,
        places: CoreSet,
    ) -> Refilled {
        // Which cluster a mixed task can have, only the task says.
        let is_mixed = shape == ResourceShape::Mix;
        let shape = shape as usize;
        // Counting the places takes longer than asking whether there is more than one task.
        if scheduler.has_one_at_most(shape) {
            return self.released.refill_one(scheduler, tasks, shape);
        }
        let most = if is_mixed { 1 } else { places.count_ones() as usize };
        self.released.refill(scheduler, tasks, shape, most)
    }

    /// Hands out blocks of the task whose turn it is; returns the cores that were given, or `None`
    /// if there is no such task.
    fn claim_waiting<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        shape: ResourceShape,
        open: CoreSet,
    ) -> Option<CoreSet> {
        let board = context.scheduler.board(shape as usize)?;
        loop {
            let waiting = board.look()?;
            let lanes = waiting.lanes(shape == ResourceShape::Mix);
            let places = places(open, shape, lanes);
            if places == 0 {
                return Some(0);
            }
            context.platform.interleave();
            let Some(blocks) = board.claim(waiting, places.count_ones()) else { continue };
            context.platform.interleave();
            let candidate = Candidate::find(context, TaskHandle::from_raw(waiting.task()))?;
            return Some(self.assign_blocks(context, &candidate, places, blocks));
        }
    }

    /// Hands out as many blocks of a task that this thread holds as there are places, and lets go of
    /// the task; returns the cores that were given.
    #[inline(never)]
    fn place<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        candidate: &Candidate<T::Task>,
        places: CoreSet,
    ) -> CoreSet {
        let StepContext { platform, faults, tasks, scheduler, .. } = context;
        let Candidate { handle, task, launch } = *candidate;
        let TaskLaunch { block_count, lanes, shape, .. } = launch;
        if launch.sync_start && block_count > 1 {
            let request = Request { block_count, lanes, shape };
            self.begin_sync_start(context, handle, request);
            return 0;
        }
        let blocks = match block_count {
            1 => 0..u32::from(places != 0),
            _ => tasks.claim_blocks(task, places.count_ones(), block_count),
        };
        let rest = blocks.end..block_count;
        if !rest.is_empty() {
            platform.interleave();
            // A task of one block that has found no cluster must not keep others from looking.
            let is_up = block_count > 1
                && scheduler
                    .board(shape.into())
                    .is_some_and(|board| board.put_up(handle.raw(), lanes, &rest));
            if !is_up {
                scheduler.make_ready(platform, tasks, faults, handle, shape);
            }
        }
        self.assign_blocks(context, candidate, places, blocks)
    }

    /// The same for a task of one sub-task, for which there is a place.
    #[inline(always)]
    fn place_sole<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        candidate: Candidate<T::Task>,
        places: CoreSet,
    ) -> CoreSet {
        context.platform.interleave();
        let kernel_lane = candidate.launch.lanes.trailing_zeros() as usize;
        let core = places.trailing_zeros() as usize;
        if !self.assign(context, core, &candidate, Assignment { kernel_lane, block: 0 }) {
            return 0;
        }
        let taken = places & places.wrapping_neg();
        self.busy |= taken;
        taken
    }

    /// Hands blocks out to `places`, of which there are enough; returns the cores that were given.
    /// The caller has claimed the blocks.
    pub(super) fn assign_blocks<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        candidate: &Candidate<T::Task>,
        mut places: CoreSet,
        blocks: Range<u32>,
    ) -> CoreSet {
        let lanes = candidate.launch.lanes;
        // A block of one lane goes to the very core that was found, whichever lane that is.
        let is_mixed = !lanes.is_power_of_two();
        let mut taken = 0;
        for block in blocks {
            let place = places.trailing_zeros() as usize;
            let lowest = places & places.wrapping_neg();
            places ^= lowest;
            context.platform.interleave();
            let mut rest = lanes;
            while rest != 0 {
                let kernel_lane = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let offset = if is_mixed { kernel_lane } else { 0 };
                let assignment = Assignment { kernel_lane, block };
                if self.assign(context, place + offset, candidate, assignment) {
                    taken |= lowest << offset;
                }
            }
        }
        self.busy |= taken;
        taken
    }

    /// Hands one sub-task to an idle core; false if the run has a fault.
    #[inline(always)]
    fn assign<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        bit: usize,
        &Candidate { handle, task, ref launch }: &Candidate<T::Task>,
        Assignment { kernel_lane, block }: Assignment,
    ) -> bool {
        let StepContext { platform, faults, tasks, scheduler, payloads, .. } = context;
        let Some(core) = self.core_mut(bit) else { return false };
        let id = core.next_id;
        let CoreLocation { worker, block: registers } = core.location;
        // SAFETY: this thread owns the core; it is idle, so both its buffers are free.
        let payload = unsafe { payloads.of_dispatch(worker, id) };
        let (Some(payload), Some(filled)) = (payload, core.filled.get_mut(id.buffer())) else {
            return false;
        };
        let is_shared = launch.block_count > 1;
        let func_id = if is_shared && filled.run == scheduler.run() && filled.task == launch.id {
            filled.func_id
        } else {
            // SAFETY: the task is published, and not complete while a sub-task is being handed out.
            let func_id = unsafe { tasks.fill(handle, task, kernel_lane, payload, faults) };
            // The run has a fault, and what cannot run is not handed out.
            let Some(func_id) = func_id else { return false };
            if is_shared {
                *filled = Filled { run: scheduler.run(), task: launch.id, func_id };
            } else {
                filled.run = 0;
            }
            func_id
        };
        // CAST: block counts come from a 16-bit field of the launch specification.
        payload.local_context.block_idx = block as i32;
        let kernel = RunningKernel { func_id, graph_task: T::number(handle) };
        core.running = Running { task: handle, id, is_sole: launch.is_sole() };
        core.next_id = id.next();
        scheduler.running().set(worker, Some(kernel));
        platform.write_register(registers, C::DATA_MAIN_BASE, id.raw());
        true
    }
}

/// The fewest lanes that a task of a shape may want, to see whether looking is worth while.
fn lanes_wanted(shape: ResourceShape) -> u8 {
    match shape {
        ResourceShape::Aic => 0b001,
        ResourceShape::Aiv => 0b010,
        // No lane at all: any cluster with two idle lanes. Which ones, the task says.
        ResourceShape::Mix => 0,
    }
}

/// Where a block with these lanes can go: one bit for each place. For a mixed task that is bit 0
/// of each cluster whose wanted lanes are all idle (the others may be busy).
pub(super) fn places(idle: CoreSet, shape: ResourceShape, lanes: u8) -> CoreSet {
    match shape {
        ResourceShape::Aic => idle & AIC_LANES,
        ResourceShape::Aiv => idle & AIV_LANES,
        ResourceShape::Mix => mixed_places(idle, lanes),
    }
}

/// The same for mixed tasks.
fn mixed_places(idle: CoreSet, lanes: u8) -> CoreSet {
    let (aic, aiv0, aiv1) = (idle & AIC_LANES, (idle >> 1) & AIC_LANES, (idle >> 2) & AIC_LANES);
    if lanes == 0 {
        return (aic & aiv0) | (aic & aiv1) | (aiv0 & aiv1);
    }
    let wanted = |lane: u8, set: CoreSet| if lanes & lane != 0 { set } else { AIC_LANES };
    wanted(1, aic) & wanted(2, aiv0) & wanted(4, aiv1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lane_tasks_go_to_their_kind_of_core() {
        // Cluster 0 all idle, cluster 1 with AIV1 only.
        let idle = 0b100_111;
        assert_eq!(places(idle, ResourceShape::Aic, 1), 0b000_001);
        assert_eq!(places(idle, ResourceShape::Aiv, 2), 0b100_110);
    }

    #[test]
    fn mixed_tasks_go_where_their_own_lanes_are_idle() {
        // Cluster 0: AIC busy. Cluster 1: AIV1 busy. Cluster 2: all idle.
        let idle = 0b111_011_110;
        for (lanes, expected) in [
            (0b111, 0b001_000_000),
            (0b110, 0b001_000_001),
            (0b011, 0b001_001_000),
            (0b101, 0b001_000_000),
        ] {
            assert_eq!(places(idle, ResourceShape::Mix, lanes), expected, "{lanes:#b}");
        }
        assert_eq!(places(idle, ResourceShape::Mix, 0), 0b001_001_001);
    }
}
