//! A ring of frames for each thread: the transport of an image without thread-local memory.
//!
//! A thread that enters a run, a load or an unload claims a desk, by a key of its own (its thread pointer), and
//! gives it back when it leaves. What it says goes to the ring at the desk, and from there at once to the log
//! area that its record names. What finds no area or no room there stays in the ring, for whoever is at the
//! desk next. A thread that speaks without having entered anything is at a desk for the time of one frame.
//!
//! No thread waits for another one: where all desks are taken, frames are dropped and counted.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use protocol::{LogFrameHeader, NO_AICPU_THREAD, NO_CALLABLE};

use super::Speaker;
use super::area::{CacheUpkeep, ImageIdentity, OpenArea};
use super::frame_ring::FrameRing;
use super::ownership::Ownership;

/// The desks; `BYTES` of ring at each.
#[derive(Debug)]
pub struct LogThreads<const DESKS: usize, const BYTES: usize> {
    desks: [Desk<BYTES>; DESKS],
    /// Frames of threads that found no desk.
    homeless: AtomicU64,
}

/// A place to speak from.
#[derive(Debug)]
struct Desk<const BYTES: usize> {
    ownership: Ownership,
    /// Of the owner.
    inside: UnsafeCell<Inside<BYTES>>,
}

/// What is at a desk.
#[derive(Debug)]
struct Inside<const BYTES: usize> {
    ring: FrameRing<BYTES>,
    /// The callable's number and 1, or 0. (Zeroes throughout: see [`LogThreads::new`].)
    callable_and_one: u16,
    /// The thread's index in its run and 1, or 0.
    thread_and_one: u8,
    area: Option<OpenArea>,
    /// Whether the owner goes when its frame has ended.
    is_visited: bool,
    /// Whether a frame is in progress: what speaks while it is being spoken of is not heard.
    is_in_frame: bool,
    /// Frames within the frame in progress.
    nested: u32,
}

// SAFETY: `inside` is used by the owner alone, and `Ownership` orders owners.
unsafe impl<const BYTES: usize> Sync for Desk<BYTES> {}

impl<const BYTES: usize> Desk<BYTES> {
    /// Nobody's, with nothing at it.
    const fn free() -> Self {
        Self {
            ownership: Ownership::new(),
            inside: UnsafeCell::new(Inside {
                ring: FrameRing::new(),
                callable_and_one: 0,
                thread_and_one: 0,
                area: None,
                is_visited: false,
                is_in_frame: false,
                nested: 0,
            }),
        }
    }
}

impl<const DESKS: usize, const BYTES: usize> LogThreads<DESKS, BYTES> {
    /// Free desks. All of it is zeroes, so that an image need not bring them along.
    #[expect(clippy::new_without_default, reason = "it is for static memory, and large")]
    pub const fn new() -> Self {
        Self { desks: [const { Desk::free() }; DESKS], homeless: AtomicU64::new(0) }
    }

    /// The calling thread enters what `speaker` says; what it says next goes to the area named there.
    ///
    /// # Safety
    ///
    /// `key` is not 0, and no other thread's. The area is as [`OpenArea::open`] wants it, until the thread leaves, and no other
    /// image writes to it.
    pub unsafe fn enter(
        &self,
        key: u64,
        speaker: Speaker,
        image: ImageIdentity,
        upkeep: CacheUpkeep,
    ) {
        // SAFETY: the caller's promise.
        let area = unsafe { OpenArea::open(speaker.area, upkeep) };
        if let Some(area) = &area {
            // SAFETY: the caller's promise.
            unsafe { area.introduce(image) };
        }
        let Some(index) = self.at(key).or_else(|| self.claim(key)) else {
            return;
        };
        // SAFETY: the desk is this thread's.
        unsafe {
            self.with(index, |inside| {
                let callable = speaker.callable.and_then(|id| u16::try_from(id.raw()).ok());
                inside.callable_and_one = callable.map_or(0, |id| id.wrapping_add(1));
                inside.thread_and_one = speaker.aicpu_thread.map_or(0, |it| it.wrapping_add(1));
                inside.area = area;
                inside.deliver(index, &self.homeless);
            });
        }
    }

    /// The calling thread leaves what it has entered. Its area is not used any more afterwards.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    pub unsafe fn leave(&self, key: u64) {
        let Some(index) = self.at(key) else { return };
        // SAFETY: the desk is this thread's.
        unsafe {
            self.with(index, |inside| {
                inside.deliver(index, &self.homeless);
                inside.go();
            });
        }
        self.give_back(index);
    }

    /// Begins a frame of the calling thread, at this time.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    pub unsafe fn begin_frame(&self, key: u64, time_us: u64) {
        let (index, is_visit) = match self.at(key) {
            Some(index) => (Some(index), false),
            None => (self.claim(key), true),
        };
        let Some(index) = index else {
            // ORDERING: Relaxed: a number for people.
            self.homeless.fetch_add(1, Ordering::Relaxed);
            return;
        };
        // SAFETY: the desk is this thread's.
        unsafe {
            self.with(index, |inside| {
                if inside.is_in_frame {
                    inside.nested += 1;
                    return;
                }
                inside.is_visited = is_visit;
                inside.is_in_frame = true;
                let header = inside.header(time_us);
                inside.ring.begin_frame(header);
            });
        }
    }

    /// Appends bytes to the frame of the calling thread.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    pub unsafe fn write(&self, key: u64, bytes: &[u8]) {
        let Some(index) = self.at(key) else { return };
        // SAFETY: the desk is this thread's.
        unsafe {
            self.with(index, |inside| {
                if inside.nested == 0 {
                    inside.ring.write(bytes);
                }
            });
        }
    }

    /// Ends the frame of the calling thread, and delivers it.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    pub unsafe fn end_frame(&self, key: u64) {
        let Some(index) = self.at(key) else { return };
        // SAFETY: the desk is this thread's.
        let is_over = unsafe {
            self.with(index, |inside| {
                if inside.nested > 0 {
                    inside.nested -= 1;
                    return false;
                }
                inside.ring.end_frame();
                inside.is_in_frame = false;
                inside.deliver(index, &self.homeless);
                core::mem::take(&mut inside.is_visited)
            })
        };
        if is_over {
            self.give_back(index);
        }
    }

    /// The desk of a thread.
    fn at(&self, key: u64) -> Option<usize> {
        self.desks.iter().position(|desk| desk.ownership.is_of(key))
    }

    /// Claims the first free desk.
    fn claim(&self, key: u64) -> Option<usize> {
        self.desks.iter().position(|desk| desk.ownership.claim(key))
    }

    /// Gives a desk back. Only its owner.
    fn give_back(&self, index: usize) {
        if let Some(desk) = self.desks.get(index) {
            desk.ownership.give_back();
        }
    }

    /// Does something at a desk; with `R`'s default where there is none.
    ///
    /// # Safety
    ///
    /// The desk is the calling thread's, which is not in another call of this.
    unsafe fn with<R: Default>(
        &self,
        index: usize,
        act: impl FnOnce(&mut Inside<BYTES>) -> R,
    ) -> R {
        self.desks.get(index).map_or_else(R::default, |desk| {
            // SAFETY: only the owner of the desk is here, once.
            act(unsafe { &mut *desk.inside.get() })
        })
    }
}

impl<const BYTES: usize> Inside<BYTES> {
    /// What a frame of the owner begins with.
    fn header(&self, time_us: u64) -> LogFrameHeader {
        LogFrameHeader {
            callable: self.callable_and_one.checked_sub(1).unwrap_or(NO_CALLABLE),
            aicpu_thread: self.thread_and_one.checked_sub(1).unwrap_or(NO_AICPU_THREAD),
            time_us,
            ..LogFrameHeader::default()
        }
    }

    /// Moves frames to the area of the record, if it names one, and counts there who found no desk.
    fn deliver(&mut self, index: usize, homeless: &AtomicU64) {
        let Some(area) = self.area else { return };
        // ORDERING: Relaxed (both): a number for people.
        if homeless.load(Ordering::Relaxed) != 0 {
            let frames = homeless.swap(0, Ordering::Relaxed);
            // SAFETY: the area is there until the thread leaves (`enter`).
            unsafe { area.count_homeless(frames) };
        }
        // SAFETY: as above; the number of the desk is that of the ring, so that no other thread has it.
        let has_ring = unsafe { area.deliver(index, &mut self.ring) };
        if !has_ring {
            let mut frames = self.ring.take_dropped();
            while self.ring.oldest().is_some() {
                self.ring.discard_oldest();
                frames += 1;
            }
            if frames != 0 {
                // SAFETY: as above.
                unsafe { area.count_homeless(frames) };
            }
        }
    }

    /// The owner is nowhere any more.
    fn go(&mut self) {
        self.callable_and_one = 0;
        self.thread_and_one = 0;
        self.area = None;
        self.is_visited = false;
        self.is_in_frame = false;
        self.nested = 0;
    }
}

#[cfg(test)]
mod tests;
