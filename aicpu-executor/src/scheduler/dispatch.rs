//! Which core gets which block of which ready task.
//!
//! Tasks of two or more lanes go first: they need all their lanes idle in one cluster, which
//! streams of one-lane tasks would otherwise keep from ever happening. For the same reason a
//! thread that has found no cluster for a waiting mixed task keeps its first cluster free of
//! one-lane tasks until the mixed queue is empty.
//!
//! The blocks of a task are handed out by one holder at a time. A holder that cannot place all
//! of them claims as many as it has cores for, puts the task back, and only then fills the
//! cores, so that other threads can go on with the rest meanwhile.

use protocol::{Chip, ResourceShape};

use super::core_table::{Assignment, LANES};
use super::meeting_point::Request;
use super::task_store::{TaskHandle, TaskLaunch, TaskStore};
use super::thread::{CoreSet, SchedulerThread, StepContext};
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

/// A task taken from a ready queue, with what placing it needs.
#[derive(Debug, Clone, Copy)]
struct Candidate<T> {
    handle: TaskHandle,
    task: T,
    block_count: u32,
    lanes: u8,
}

impl<C: Chip> SchedulerThread<C> {
    /// Gives idle cores to ready tasks, all shapes. Returns whether any was given.
    pub(super) fn dispatch_ready<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> bool {
        let mut moved = self.dispatch_shape(context, ResourceShape::Mix, self.idle());
        let mut open = self.idle();
        if !context.scheduler.is_idle(ResourceShape::Mix as usize) {
            open &= !CLUSTER_LANES;
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

    /// Gives cores of `open` to ready tasks of one shape.
    fn dispatch_shape<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        shape: ResourceShape,
        mut open: CoreSet,
    ) -> bool {
        let mut moved = false;
        while places(open, shape, lanes_wanted(shape)) != 0 {
            context.platform.interleave();
            let Some(handle) = context.scheduler.take_ready(context.tasks, shape as usize) else {
                break;
            };
            let Some(task) = context.tasks.find(handle) else { break };
            context.platform.interleave();
            // SAFETY: a task in a ready queue is published and not complete.
            let launch = unsafe { context.tasks.launch(handle, task, context.faults) };
            let Some(launch) = launch else { break };
            let TaskLaunch { block_count, lanes, .. } = launch;
            if launch.sync_start && block_count > 1 {
                let request = Request { block_count, lanes, shape: launch.shape };
                self.begin_sync_start(context, handle, request);
                break;
            }
            let candidate = Candidate { handle, task, block_count, lanes };
            let taken = self.place(context, candidate, shape, open);
            moved |= taken != 0;
            open &= !taken;
            if taken == 0 {
                break;
            }
        }
        moved
    }

    /// Hands out as many blocks as fit on `open`; returns the cores that were given.
    fn place<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        candidate: Candidate<T::Task>,
        shape: ResourceShape,
        open: CoreSet,
    ) -> CoreSet {
        let Candidate { handle, task, block_count, lanes } = candidate;
        let places = places(open, shape, lanes);
        let blocks = context.tasks.claim_blocks(task, places.count_ones(), block_count);
        if blocks.end < block_count {
            let StepContext { platform, faults, tasks, .. } = context;
            context.scheduler.make_ready(platform, tasks, faults, handle, shape as u8);
        }
        let mut taken = 0;
        let mut rest = places;
        for block in blocks {
            let place = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            taken |= self.assign_block(context, place, handle, lanes, block);
        }
        taken
    }

    /// Hands one block to the cores at `place`: a core for one lane, a cluster's first core for
    /// more. Returns the cores that were given.
    pub(super) fn assign_block<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        place: usize,
        task: TaskHandle,
        lanes: u8,
        block: u32,
    ) -> CoreSet {
        context.platform.interleave();
        if lanes.is_power_of_two() {
            let kernel_lane = lanes.trailing_zeros() as usize;
            self.assign(context, place, task, Assignment { kernel_lane, block });
            return 1 << place;
        }
        for kernel_lane in (0..LANES).filter(|lane| lanes & (1 << lane) != 0) {
            let core = place + kernel_lane;
            self.assign(context, core, task, Assignment { kernel_lane, block });
        }
        CoreSet::from(lanes) << place
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
    let (aic, aiv0, aiv1) = (idle & AIC_LANES, (idle >> 1) & AIC_LANES, (idle >> 2) & AIC_LANES);
    match shape {
        ResourceShape::Aic => aic,
        ResourceShape::Aiv => idle & AIV_LANES,
        ResourceShape::Mix if lanes == 0 => (aic & aiv0) | (aic & aiv1) | (aiv0 & aiv1),
        ResourceShape::Mix => {
            let wanted = |lane: u8, set: CoreSet| if lanes & lane != 0 { set } else { AIC_LANES };
            wanted(1, aic) & wanted(2, aiv0) & wanted(4, aiv1)
        }
    }
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
