//! Tasks whose blocks must all start together (`require_sync_start`).
//!
//! Such a task may need cores of several threads at once, so the threads meet at the
//! [`MeetingPoint`](super::meeting_point::MeetingPoint):
//!
//! 1. The thread that took the task from its queue opens a meeting for it, unless one is under
//!    way; then it puts its task back.
//! 2. While a task gathers, no thread dispatches anything else. Each offers the places it has
//!    idle; offers only grow, since nothing takes a core away. The thread that sees that the
//!    offers suffice moves on to launching. (`block_num` is checked at submit, so they will.)
//! 3. Each thread claims blocks for the places it offered until none is left. Nobody waits for
//!    anybody: a thread that comes late finds the blocks gone.

use protocol::{Chip, ResourceShape};

use super::dispatch::{Candidate, places};
use super::meeting_point::{Meeting, Phase, Request};
use super::task_store::{TaskHandle, TaskStore};
use super::thread::{CoreSet, SchedulerThread, StepContext};
use crate::platform::Platform;

/// What a thread has on the table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offer {
    /// Tag of the meeting.
    tag: u64,
    /// Places (see `places`).
    places: CoreSet,
}

impl<C: Chip> SchedulerThread<C> {
    /// Opens a meeting for `task`, or puts the task back if one is under way.
    pub(super) fn begin_sync_start<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        task: TaskHandle,
        request: Request,
    ) {
        context.platform.interleave();
        if !context.scheduler.meeting_point.begin(task.raw(), request) {
            let StepContext { platform, faults, tasks, .. } = context;
            context.scheduler.make_ready(platform, tasks, faults, task, request.shape);
        }
    }

    /// Takes part in a meeting. `None` if there is none; else whether anything moved.
    pub(super) fn meet_sync_start<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> Option<bool> {
        let meeting = context.scheduler.meeting_point.current()?;
        context.platform.interleave();
        Some(match meeting.phase {
            Phase::Opening => false,
            Phase::Gathering => self.offer_places(context, &meeting),
            Phase::Launching => self.launch_offered(context, &meeting),
        })
    }

    /// Puts the idle places on the table; moves on to launching if the offers suffice.
    fn offer_places<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        meeting: &Meeting,
    ) -> bool {
        let meeting_point = &context.scheduler.meeting_point;
        let Ok(shape) = ResourceShape::try_from(meeting.request.shape) else { return false };
        let offered = places(self.idle(), shape, meeting.request.lanes);
        self.offer = Offer { tag: meeting.tag(), places: offered };
        let suffices = meeting_point.offer(meeting, self.index, offered.count_ones());
        context.platform.interleave();
        suffices && meeting_point.launch(meeting)
    }

    /// Hands out blocks to the places this thread offered.
    fn launch_offered<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
        meeting: &Meeting,
    ) -> bool {
        let meeting_point = &context.scheduler.meeting_point;
        if self.offer.tag != meeting.tag() {
            return false;
        }
        let places = core::mem::take(&mut self.offer.places);
        let Some(blocks) = meeting_point.claim(meeting, places.count_ones()) else { return false };
        context.platform.interleave();
        let task = TaskHandle::from_raw(meeting.task);
        let Some(candidate) = Candidate::find(context, task) else { return false };
        // CAST: lengths of at most 32767.
        let handed_out = blocks.len() as u32;
        self.assign_blocks(context, &candidate, places, blocks);
        context.platform.interleave();
        meeting_point.count_launched(meeting, handed_out);
        true
    }
}
