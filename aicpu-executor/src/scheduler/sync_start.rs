//! Tasks whose blocks must all start together (`require_sync_start`).
//!
//! Such a task may need cores of several threads at once, so the threads meet:
//!
//! ```text
//!            (1) begin              (2) enough offered           (3) last block handed out
//! free ───────────────► gathering ─────────────────────► launching ─────────────────► free
//! ```
//!
//! 1. The thread that took the task from its queue makes it the gathering task, unless another
//!    one is; then it puts its task back.
//! 2. While a task gathers, no thread dispatches anything else. Each offers the places it has
//!    idle; offers only grow, since nothing takes a core away. The thread that sees that the
//!    offers suffice moves on to launching. (`block_num` is checked at submit, so they will.)
//! 3. Each thread claims blocks for the places it offered until none is left. Nobody waits for
//!    anybody: a thread that comes late finds the blocks gone.
//!
//! Every word carries the number of the meeting, so that a thread that slept through one cannot
//! take part in the next by mistake.

use core::sync::atomic::{AtomicU64, Ordering};

use protocol::{Chip, ResourceShape};

use super::dispatch::places;
use super::thread::{CoreSet, SchedulerThread, StepContext};
use crate::platform::Platform;
use crate::region::{SlotHandle, TaskRecord};

/// Most scheduler threads of any chip (a5).
const THREAD_LIMIT: usize = 8;

/// Phases of a meeting, in the low bits of the state word.
const FREE: u64 = 0;
const GATHERING: u64 = 1;
const LAUNCHING: u64 = 2;
/// Between free and gathering, while the words of the meeting are being written.
const OPENING: u64 = 3;
const PHASE_MASK: u64 = 3;
/// One meeting more: the number starts above the phase and wraps within its 30 bits.
const NUMBER_STEP: u64 = 4;

/// The meeting point.
#[derive(Debug, Default)]
pub(crate) struct SyncStart {
    /// High half: the gathering task's raw handle. Low half: meeting number and phase.
    state: AtomicU64,
    /// What each thread offers: low half of `state` without phase, in the high half; places in the
    /// low half.
    offers: [AtomicU64; THREAD_LIMIT],
    /// Next block to claim, tagged like an offer.
    next_block: AtomicU64,
    /// Blocks handed out, tagged like an offer.
    launched: AtomicU64,
    /// What the task wants: see [`Request`].
    request: AtomicU64,
}

/// What the gathering task wants. A copy, because a thread that lags behind must not look into
/// the task's slot, which may be another task's by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    block_count: u32,
    lanes: u8,
    shape: u8,
}

impl Request {
    fn pack(self) -> u64 {
        u64::from(self.block_count) | u64::from(self.lanes) << 32 | u64::from(self.shape) << 40
    }

    fn unpack(word: u64) -> Self {
        let [b0, b1, b2, b3, lanes, shape, ..] = word.to_le_bytes();
        Self { block_count: u32::from_le_bytes([b0, b1, b2, b3]), lanes, shape }
    }
}

/// What a thread has on the table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offer {
    /// Tag of the meeting.
    tag: u64,
    /// Places (see `places`).
    places: CoreSet,
}

/// A state word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meeting {
    phase: u64,
    /// The number, as the high half of tagged words.
    tag: u64,
    task: SlotHandle,
}

fn read(word: u64) -> Meeting {
    let number = word & u64::from(u32::MAX) & !PHASE_MASK;
    // CAST: the high half.
    let task = SlotHandle::from_raw((word >> 32) as u32);
    Meeting { phase: word & PHASE_MASK, tag: number << 32, task }
}

/// The untagged count of a tagged word, or `None` for another meeting's.
fn count_of(word: u64, tag: u64) -> Option<u32> {
    let low = u64::from(u32::MAX);
    // CAST: the low half.
    (word & !low == tag).then_some((word & low) as u32)
}

impl SyncStart {
    /// Forgets any meeting; between runs.
    pub(super) fn reset(&self) {
        // ORDERING: Relaxed: published by the gate of the run. The number goes on, so that words
        // of an abandoned meeting stay foreign.
        let number = self.state.load(Ordering::Relaxed) & u64::from(u32::MAX) & !PHASE_MASK;
        let next = number.wrapping_add(NUMBER_STEP) & u64::from(u32::MAX);
        self.state.store(next, Ordering::Relaxed);
    }

    /// Tries to make `task` the gathering task.
    fn begin(&self, task: SlotHandle, request: Request) -> bool {
        // ORDERING: Acquire/AcqRel/Release on the state word (everywhere): each phase sees the
        // words that the phase before has written.
        let word = self.state.load(Ordering::Acquire);
        let meeting = read(word);
        if meeting.phase != FREE {
            return false;
        }
        let number = (meeting.tag >> 32).wrapping_add(NUMBER_STEP) & u64::from(u32::MAX);
        let opening = (u64::from(task.raw()) << 32) | number | OPENING;
        let exchanged =
            self.state.compare_exchange(word, opening, Ordering::AcqRel, Ordering::Acquire);
        if exchanged.is_err() {
            return false;
        }
        // ORDERING: Relaxed (all three): published by the state word below.
        self.next_block.store(number << 32, Ordering::Relaxed);
        self.launched.store(number << 32, Ordering::Relaxed);
        self.request.store(request.pack(), Ordering::Relaxed);
        self.state.store((opening & !PHASE_MASK) | GATHERING, Ordering::Release);
        true
    }

    /// The meeting under way with its request; `None` if there is none.
    fn current(&self) -> Option<(u64, Meeting, Request)> {
        loop {
            // ORDERING: see `begin`.
            let word = self.state.load(Ordering::Acquire);
            let meeting = read(word);
            if meeting.phase == FREE {
                return None;
            }
            // ORDERING: Acquire keeps the second look at the state word behind this load; equal
            // state words (they carry the meeting's number) mean that the request is its own.
            let request = Request::unpack(self.request.load(Ordering::Acquire));
            if self.state.load(Ordering::Relaxed) == word {
                return Some((word, meeting, request));
            }
        }
    }

    /// Claims the next block of a meeting.
    fn claim(&self, tag: u64, block_count: u32) -> Option<u32> {
        // ORDERING: Relaxed: a ticket; the task itself was published through the state word.
        let mut word = self.next_block.load(Ordering::Relaxed);
        loop {
            let block = count_of(word, tag)?;
            if block >= block_count {
                return None;
            }
            match self.next_block.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(block),
                Err(now) => word = now,
            }
        }
    }
}

impl<C: Chip> SchedulerThread<C> {
    /// Starts a meeting for `task`, or puts the task back if one is under way.
    pub(super) fn begin_sync_start<P: Platform>(
        &mut self,
        context: StepContext<'_, P>,
        task: SlotHandle,
        record: &TaskRecord,
    ) {
        let request =
            Request { block_count: record.block_count, lanes: record.lanes, shape: record.shape };
        if !context.scheduler.sync_start.begin(task, request) {
            context.scheduler.make_ready(context.region, context.faults, task, record.shape);
        }
    }

    /// Takes part in a meeting. `None` if there is none; else whether anything moved.
    pub(super) fn meet_sync_start<P: Platform>(
        &mut self,
        context: StepContext<'_, P>,
    ) -> Option<bool> {
        let (word, meeting, request) = context.scheduler.sync_start.current()?;
        Some(match meeting.phase {
            GATHERING => self.offer_places(context, word, meeting, request),
            LAUNCHING => self.launch_offered(context, meeting, request),
            _ => false,
        })
    }

    /// Puts the idle places on the table; moves on to launching if they suffice.
    fn offer_places<P: Platform>(
        &mut self,
        context: StepContext<'_, P>,
        word: u64,
        meeting: Meeting,
        request: Request,
    ) -> bool {
        let meeting_point = &context.scheduler.sync_start;
        let Ok(shape) = ResourceShape::try_from(request.shape) else { return false };
        let offered = places(self.idle(), shape, request.lanes);
        self.offer = Offer { tag: meeting.tag, places: offered };
        if let Some(offer) = meeting_point.offers.get(self.index) {
            // ORDERING: Release: with the Acquire below, whoever counts this offer may rely on it.
            offer.store(meeting.tag | u64::from(offered.count_ones()), Ordering::Release);
        }
        let total: u32 = meeting_point
            .offers
            .iter()
            // ORDERING: Acquire: see above.
            .filter_map(|offer| count_of(offer.load(Ordering::Acquire), meeting.tag))
            .sum();
        if total < request.block_count {
            return false;
        }
        let launching = (word & !PHASE_MASK) | LAUNCHING;
        // ORDERING: see `begin`.
        meeting_point
            .state
            .compare_exchange(word, launching, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Hands out blocks to the places this thread offered; the last block ends the meeting.
    fn launch_offered<P: Platform>(
        &mut self,
        context: StepContext<'_, P>,
        meeting: Meeting,
        request: Request,
    ) -> bool {
        let meeting_point = &context.scheduler.sync_start;
        if self.offer.tag != meeting.tag {
            return false;
        }
        let mut handed_out = 0;
        while self.offer.places != 0 {
            let Some(block) = meeting_point.claim(meeting.tag, request.block_count) else { break };
            let place = self.offer.places.trailing_zeros() as usize;
            self.offer.places &= self.offer.places - 1;
            self.assign_block(context, place, meeting.task, request.lanes, block);
            handed_out += 1;
        }
        if handed_out == 0 {
            return false;
        }
        // ORDERING: AcqRel: the thread that completes the count has all hand-outs behind it when
        // it frees the meeting point.
        let before = meeting_point.launched.fetch_add(handed_out, Ordering::AcqRel);
        let done = count_of(before, meeting.tag).map(|count| u64::from(count) + handed_out);
        if done == Some(u64::from(request.block_count)) {
            // ORDERING: Release: see `begin`.
            meeting_point.state.store(meeting.tag >> 32, Ordering::Release);
        }
        true
    }
}
