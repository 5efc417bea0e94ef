//! The scheduler: gives ready tasks to cores and completes them.
//!
//! Every AICPU thread that schedules owns some clusters ([`SchedulerThread`]) and repeats one
//! step: look which of its cores have finished, complete those tasks, give the idle cores new
//! ones. What the threads share is here: the three ready queues, the counters that end a run, and
//! the meeting point of tasks whose blocks must start together.
//!
//! | file | what |
//! |---|---|
//! | `ready_queue` | the bounded queue of ready tasks, one for each shape |
//! | `run_counters` | when a run is finished |
//! | `core_table` | registers and dispatch payloads of all cores |
//! | `handshake` | bringing the cores up and down (spec trb §6.1) |
//! | `thread` | one thread's clusters and its step |
//! | `dispatch` | which core gets which block |
//! | `sync_start`, `meeting_point` | tasks whose blocks start together |
//! | `deferred` | sub-tasks that are finished only when conditions hold |
//! | `waits_for` | what a run that does not move waits for, for reports |
//!
//! A task is completed by the thread that sees its last sub-task finish: it notifies the
//! consumers, lets go of the producers and marks the slot, in this order (see `region::slot`).

use core::sync::atomic::{AtomicU64, Ordering};

use protocol::Chip;

use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::region::consumer_list::EMPTY;
use crate::region::{EdgeHandle, Region, SHAPE_COUNT, SlotHandle, TaskRecord, TaskSlot};
use crate::sync::CacheAligned;

pub(crate) mod core_table;
pub(crate) mod deferred;
pub(crate) mod dispatch;
pub(crate) mod handshake;
pub(crate) mod meeting_point;
pub(crate) mod ready_queue;
pub(crate) mod run_counters;
pub(crate) mod sync_start;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
pub(crate) mod waits_for;

use core_table::RunningKernels;
use deferred::notice::Notices;
use meeting_point::MeetingPoint;
use ready_queue::ReadyQueue;
use run_counters::RunCounters;

/// What all scheduler threads and the orchestrator share in a run.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    queues: [ReadyQueue; SHAPE_COUNT],
    counters: RunCounters,
    /// Counts whatever moves; a run stalls when this stands still.
    progress: CacheAligned<AtomicU64>,
    /// Where tasks whose blocks start together get their cores.
    pub(crate) meeting_point: MeetingPoint,
    running: RunningKernels,
    /// What the threads wait for, for reports.
    pub(crate) deferred: Notices,
}

impl Scheduler {
    /// Prepares for a run. `region_is_new`: its ready cells have been zeroed.
    ///
    /// Called before the other threads enter the run.
    pub(crate) fn start(&self, region_is_new: bool) {
        if region_is_new {
            for queue in &self.queues {
                queue.reset();
            }
        }
        self.counters.reset();
        self.meeting_point.reset();
        self.running.clear();
        self.deferred.clear();
    }

    /// Makes a task whose producers are complete available to the scheduler threads.
    pub(crate) fn make_ready<P: Platform>(
        &self,
        platform: &P,
        region: &Region<'_>,
        faults: &FaultLatch,
        handle: SlotHandle,
        shape: u8,
    ) {
        let shape = usize::from(shape);
        platform.interleave();
        let pushed = match (self.queues.get(shape), region.ready_cells.get(shape)) {
            (Some(queue), Some(cells)) => queue.push(cells, handle.raw()).is_ok(),
            _ => false,
        };
        platform.interleave();
        if !pushed {
            // A queue has a cell for every slot there is, and a task is queued at most once.
            faults.report(
                protocol::StatusCode::SchedulerTimeout.code(),
                format_args!("ready queue {shape} cannot take task slot {:#x}", handle.raw()),
            );
        }
    }

    /// Takes a ready task of a shape.
    pub(crate) fn take_ready(&self, region: &Region<'_>, shape: usize) -> Option<SlotHandle> {
        let cells = region.ready_cells.get(shape)?;
        self.queues.get(shape)?.pop(cells).map(SlotHandle::from_raw)
    }

    /// Whether a shape's queue looks empty.
    pub(crate) fn is_idle(&self, shape: usize) -> bool {
        self.queues.get(shape).is_none_or(ReadyQueue::is_empty)
    }

    /// Counts one finished sub-task; the last one completes the task.
    pub(crate) fn finish_subtask<P: Platform>(
        &self,
        platform: &P,
        region: &Region<'_>,
        faults: &FaultLatch,
        handle: SlotHandle,
    ) {
        self.note_progress();
        let Some(slot) = region.slot(handle) else { return };
        platform.interleave();
        // ORDERING: AcqRel: the thread that counts the last sub-task sees what the cores of all
        // the others wrote.
        if slot.subtasks_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete(platform, region, faults, slot, handle);
        }
    }

    /// Completes a task whose sub-tasks have all finished.
    fn complete<P: Platform>(
        &self,
        platform: &P,
        region: &Region<'_>,
        faults: &FaultLatch,
        slot: &TaskSlot,
        handle: SlotHandle,
    ) {
        platform.interleave();
        let mut raw = slot.consumers.close();
        while raw != EMPTY {
            let Some(edge) = region.edge(EdgeHandle::from_raw(raw)) else { break };
            // Both are read before the consumer is notified: it may run, retire and give the edge
            // back at once (spec trb §14.1 item 4).
            // ORDERING: Relaxed: `close` acquired the edges.
            raw = edge.next.load(crate::sync::Ordering::Relaxed);
            let consumer = edge.consumer();
            platform.interleave();
            self.notify(platform, region, faults, consumer);
        }
        platform.interleave();
        // SAFETY: the task is published, and cannot be retired before `mark_completed` below.
        let record = unsafe { slot.record() };
        release_producers(platform, region, handle, record);
        platform.interleave();
        slot.mark_completed();
        platform.interleave();
        self.count_completed(1);
    }

    /// Tells a task that one of its producers is complete.
    fn notify<P: Platform>(
        &self,
        platform: &P,
        region: &Region<'_>,
        faults: &FaultLatch,
        consumer: SlotHandle,
    ) {
        let Some(slot) = region.slot(consumer) else { return };
        // ORDERING: AcqRel: the thread that takes the last one sees what all producers wrote, and
        // passes it on through the ready queue.
        if slot.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: the task is published: its orchestrator's own count in `pending` is gone.
            let shape = unsafe { slot.record() }.shape;
            self.make_ready(platform, region, faults, consumer, shape);
        }
    }

    /// Counts completed tasks.
    pub(crate) fn count_completed(&self, tasks: u64) {
        self.counters.count_completed(tasks);
        self.note_progress();
    }

    /// Ends the counting: the run is finished once `tasks` tasks are complete.
    pub(crate) fn set_total(&self, tasks: u64) {
        self.counters.set_total(tasks);
        self.note_progress();
    }

    /// Whether the orchestration has ended and all its tasks are complete.
    pub(crate) fn is_finished(&self) -> bool {
        self.counters.is_finished()
    }

    /// Whether the orchestration has ended.
    pub(crate) fn is_total_known(&self) -> bool {
        self.counters.is_total_known()
    }

    /// Tasks completed so far.
    pub(crate) fn completed(&self) -> u64 {
        self.counters.completed()
    }

    /// What runs on the cores.
    pub(crate) fn running(&self) -> &RunningKernels {
        &self.running
    }

    /// Counts something that moved: a stalled run is one where nothing does.
    pub(crate) fn note_progress(&self) {
        // ORDERING: Relaxed: only compared for change.
        self.progress.0.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that changes whenever anything moves: what is counted by
    /// [`note_progress`](Self::note_progress), and what deferred tasks wait for, which may change
    /// while the thread that waits for it has no processor.
    ///
    /// For threads of the run, whenever their wait looks at the clock.
    pub(crate) fn progress<C: Chip, P: Platform>(&self, platform: &P) -> u64 {
        // ORDERING: Relaxed: see `note_progress`.
        let counted = self.progress.0.load(Ordering::Relaxed);
        counted.wrapping_add(self.deferred.values_now::<C, P>(platform))
    }
}

/// Lets go of the producers that a task has kept alive.
fn release_producers<P: Platform>(
    platform: &P,
    region: &Region<'_>,
    handle: SlotHandle,
    record: &TaskRecord,
) {
    let ring = handle.ring();
    // The ring's edges are `edge_ring` long; a task's run of them wraps around at its end.
    let mut index = record.edge_first;
    for _ in 0..record.edge_count {
        // CAST: ring is below 4.
        let Some(edge) = region.edge(EdgeHandle::new(ring as u8, index)) else { break };
        if let Some(producer) = region.slot(edge.producer()) {
            platform.interleave();
            producer.release();
        }
        index += 1;
        if index == record.edge_ring {
            index = 0;
        }
    }
}
