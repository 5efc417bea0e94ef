//! The meeting point of a task whose blocks must all start together: the shared words.
//!
//! ```text
//!        begin                    launch                     count_launched
//! free ───────────► gathering ─────────────────► launching ─────────────────► free
//!       one thread,            any thread, once              the thread that
//!       task + request         the offers suffice            hands out the last block
//! ```
//!
//! Every word carries the number of the meeting in its high half, so that a thread that slept
//! through one cannot take part in the next by mistake. `sync_start` says what threads do with it.

use core::ops::Range;

use crate::sync::{AtomicU64, Ordering};

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
const LOW_HALF: u64 = u32::MAX as u64;

/// What threads can do about the meeting under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing: it is being opened.
    Opening,
    /// Offer places.
    Gathering,
    /// Hand out blocks to the places offered.
    Launching,
}

/// What the task wants. A copy, because a thread that lags behind must not look into the task's
/// slot, which may be another task's by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// Blocks of the task.
    pub(crate) block_count: u32,
    /// Lanes of a block.
    pub(crate) lanes: u8,
    /// `ResourceShape` as a number.
    pub(crate) shape: u8,
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

/// One meeting, as a thread has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// The state word.
    word: u64,
    /// What can be done.
    pub(crate) phase: Phase,
    /// Raw handle of the task.
    pub(crate) task: u32,
    /// What it wants; not written yet while the meeting is being opened.
    pub(crate) request: Request,
}

impl Meeting {
    /// The number, as the high half of tagged words.
    pub(crate) fn tag(&self) -> u64 {
        tag_of(self.word)
    }
}

fn tag_of(word: u64) -> u64 {
    (word & LOW_HALF & !PHASE_MASK) << 32
}

/// The untagged count of a tagged word, or `None` for another meeting's.
fn count_of(word: u64, tag: u64) -> Option<u32> {
    // CAST: the low half.
    (word & !LOW_HALF == tag).then_some((word & LOW_HALF) as u32)
}

/// The shared words.
#[derive(Debug, Default)]
pub(crate) struct MeetingPoint {
    /// High half: the task's raw handle. Low half: meeting number and phase.
    state: AtomicU64,
    request: AtomicU64,
    /// Places that each thread offers, tagged.
    offers: [AtomicU64; THREAD_LIMIT],
    /// Next block to claim, tagged.
    next_block: AtomicU64,
    /// Blocks handed out, tagged.
    launched: AtomicU64,
}

impl MeetingPoint {
    /// Forgets any meeting; between runs.
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed: published by the gate of the run. The number goes on, so that words
        // of an abandoned meeting stay foreign.
        let number = self.state.load(Ordering::Relaxed) & LOW_HALF & !PHASE_MASK;
        self.state.store(number.wrapping_add(NUMBER_STEP) & LOW_HALF, Ordering::Relaxed);
    }

    /// Opens a meeting for a task; false if one is under way.
    pub(crate) fn begin(&self, task: u32, request: Request) -> bool {
        // ORDERING: Acquire/AcqRel/Release on the state word (everywhere): each phase sees the
        // words that the phase before has written.
        let word = self.state.load(Ordering::Acquire);
        if word & PHASE_MASK != FREE {
            return false;
        }
        let number = ((word & LOW_HALF) + NUMBER_STEP) & LOW_HALF;
        let opening = (u64::from(task) << 32) | number | OPENING;
        let exchanged =
            self.state.compare_exchange(word, opening, Ordering::AcqRel, Ordering::Acquire);
        if exchanged.is_err() {
            return false;
        }
        // ORDERING: Release: a thread that reads this request in place of the one it looked for
        // (`current`) also sees that the state word has moved on.
        self.request.store(request.pack(), Ordering::Release);
        // ORDERING: Relaxed (both): published by the state word below.
        self.next_block.store(number << 32, Ordering::Relaxed);
        self.launched.store(number << 32, Ordering::Relaxed);
        self.state.store((opening & !PHASE_MASK) | GATHERING, Ordering::Release);
        true
    }

    /// The meeting under way; `None` if there is none.
    pub(crate) fn current(&self) -> Option<Meeting> {
        loop {
            // ORDERING: see `begin`.
            let word = self.state.load(Ordering::Acquire);
            let phase = match word & PHASE_MASK {
                FREE => return None,
                GATHERING => Phase::Gathering,
                LAUNCHING => Phase::Launching,
                _ => Phase::Opening,
            };
            // ORDERING: Acquire: see the store in `begin`; it also keeps the second look at the
            // state word behind this load. Equal state words carry the same number.
            let request = Request::unpack(self.request.load(Ordering::Acquire));
            // ORDERING: Relaxed: see above.
            if self.state.load(Ordering::Relaxed) == word {
                // CAST: the high half.
                return Some(Meeting { word, phase, task: (word >> 32) as u32, request });
            }
        }
    }

    /// Puts `places` on the table for thread `thread`; returns whether the offers of all threads
    /// suffice. Only while gathering, and the thread keeps what it offers until the meeting ends.
    pub(crate) fn offer(&self, meeting: &Meeting, thread: usize, places: u32) -> bool {
        let tag = meeting.tag();
        if let Some(offer) = self.offers.get(thread) {
            // ORDERING: Release: with the Acquire below, whoever counts an offer may rely on it.
            offer.store(tag | u64::from(places), Ordering::Release);
        }
        let all = self.offers.iter();
        // ORDERING: Acquire: see above.
        let counts = all.filter_map(|offer| count_of(offer.load(Ordering::Acquire), tag));
        counts.sum::<u32>() >= meeting.request.block_count
    }

    /// Moves on to launching; false if another thread has done so.
    pub(crate) fn launch(&self, meeting: &Meeting) -> bool {
        let launching = (meeting.word & !PHASE_MASK) | LAUNCHING;
        // ORDERING: see `begin`.
        self.state
            .compare_exchange(meeting.word, launching, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Claims the next blocks, up to `places`; `None` if all are claimed or the meeting is over.
    pub(crate) fn claim(&self, meeting: &Meeting, places: u32) -> Option<Range<u32>> {
        // ORDERING: Relaxed: a ticket; the task itself was published through the state word.
        let mut word = self.next_block.load(Ordering::Relaxed);
        loop {
            let first = count_of(word, meeting.tag())?;
            let claimed = places.min(meeting.request.block_count.saturating_sub(first));
            if claimed == 0 {
                return None;
            }
            // ORDERING: Relaxed: see the load.
            match self.next_block.compare_exchange_weak(
                word,
                word + u64::from(claimed),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(first..first + claimed),
                Err(now) => word = now,
            }
        }
    }

    /// Counts claimed blocks that are on their cores now; the last one ends the meeting.
    pub(crate) fn count_launched(&self, meeting: &Meeting, blocks: u32) {
        // ORDERING: AcqRel: the thread that completes the count has all hand-outs behind it when
        // it frees the meeting point. A thread with claimed blocks keeps the meeting from ending,
        // so the word is this meeting's.
        let before = self.launched.fetch_add(u64::from(blocks), Ordering::AcqRel);
        if count_of(before, meeting.tag()).map(|count| count + blocks)
            == Some(meeting.request.block_count)
        {
            // ORDERING: Release: see `begin`.
            self.state.store(meeting.tag() >> 32, Ordering::Release);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use std::vec::Vec;

    /// What a thread does with one place, until it has met `meetings` meetings or seen nothing.
    fn attend(point: &MeetingPoint, thread: usize, rounds: usize) -> Vec<(u32, u32)> {
        let (mut handed_out, mut offered) = (Vec::new(), None);
        for _ in 0..rounds {
            let Some(meeting) = point.current() else { continue };
            if meeting.phase != Phase::Opening {
                assert_eq!(u32::from(meeting.request.lanes), meeting.task, "its own request");
            }
            match meeting.phase {
                Phase::Opening => {}
                Phase::Gathering => {
                    offered = Some(meeting.tag());
                    if point.offer(&meeting, thread, 1) {
                        point.launch(&meeting);
                    }
                }
                Phase::Launching if offered == Some(meeting.tag()) => {
                    offered = None;
                    if let Some(blocks) = point.claim(&meeting, 1) {
                        point.count_launched(&meeting, blocks.len() as u32);
                        handed_out.extend(blocks.map(|block| (meeting.task, block)));
                    }
                }
                Phase::Launching => {}
            }
        }
        handed_out
    }

    /// Two threads with a place each, two tasks one after the other: no block is handed out twice,
    /// none belongs to the wrong task, and a task that has begun to launch is handed out whole or
    /// is still launching. Preemptions are bounded to keep the run in seconds.
    #[test]
    fn blocks_are_handed_out_once_and_to_their_own_task() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let point = Arc::new(MeetingPoint::default());
            let request = |task: u8, block_count| Request { block_count, lanes: task, shape: 1 };
            assert!(point.begin(1, request(1, 2)));
            let other = {
                let point = Arc::clone(&point);
                loom::thread::spawn(move || attend(&point, 1, 3))
            };
            let mut handed_out = attend(&point, 0, 3);
            let second = point.begin(2, request(2, 1));
            handed_out.extend(attend(&point, 0, 3));
            handed_out.extend(other.join().unwrap());
            handed_out.sort_unstable();
            let before = handed_out.len();
            handed_out.dedup();
            assert_eq!(handed_out.len(), before, "{handed_out:?}");
            // The second task can only begin when the first has been handed out whole.
            if second {
                assert_eq!(handed_out[..2], [(1, 0), (1, 1)], "{handed_out:?}");
            }
        });
    }
}
