//! Kernels on the threads that dispatch them.

use std::sync::atomic::Ordering;

use protocol::Chip;

use super::super::clock;
use super::super::core::{Busy, Reach, SimCore, Step};
use super::super::inline_queue::CORES_MAX;
use super::{BATCHES, CorePool, MEASURED, PEER_BLOCKED_NANOSECONDS, SEAT};

/// How late the coarse clock may be, in nanoseconds: a tick of a slow kernel's.
const COARSENESS: u64 = 10_000_000;

/// How long a thread runs kernels at most, about, before it looks again for something better to do: several
/// of those that are barely brief, and all that there are of those that take no time.
const TIME_AT_ONCE: u32 = 300_000;
/// What a call costs beside the kernel.
const CALL_NANOSECONDS: u32 = 50;
/// What it costs to leave a kernel to the pool.
const LEAVING_NANOSECONDS: u32 = 1_000;

/// A thread's seat among those that run the kernels which they dispatch; it keeps it until this is dropped.
#[derive(Debug)]
pub struct Seated(());

impl Drop for Seated {
    fn drop(&mut self) {
        SEAT.set(None);
    }
}

impl<C: Chip> CorePool<C> {
    /// Has the calling thread, the only one with this number, run the kernels that it dispatches.
    /// It is [attached](Self::attach_thread).
    pub fn seat(&self, number: usize) -> Seated {
        const { assert!(C::MAX_CORES <= CORES_MAX) };
        SEAT.set(Some(number));
        Seated(())
    }

    /// Runs some of the kernels that wait for an AICPU thread, those of the calling thread first.
    /// Returns whether there were any.
    pub fn run_kernels(&self) -> bool {
        let Some(seat) = SEAT.get() else { return false };
        let Some(first) = self.inline.pop(seat).or_else(|| self.inline.steal(seat)) else {
            return false;
        };
        let batch = BATCHES.get().wrapping_add(1);
        BATCHES.set(batch);
        let entered = about_now();
        let (mut time, mut core) = (0, first);
        let mut is_measured = batch.is_multiple_of(MEASURED);
        loop {
            time += match core::mem::take(&mut is_measured) {
                true => self.measure_kernel(core),
                false => self.run_kernel(core, entered),
            };
            if time >= TIME_AT_ONCE {
                return true;
            }
            let Some(next) = self.inline.pop(seat) else { return true };
            core = next;
        }
    }

    /// Whether kernels wait for a thread that is busy otherwise.
    pub fn has_waiting_kernels(&self) -> bool {
        self.inline.count() > 1
    }

    /// Whether the run's kernels take less time than it costs to have another thread look at their tasks.
    pub fn are_kernels_slight(&self) -> bool {
        self.brief.are_slight()
    }

    /// Has AICPU threads run brief kernels again.
    pub(super) fn trust(&self) {
        // ORDERING: Relaxed: the start of the run publishes it.
        if !self.is_trusting.load(Ordering::Relaxed) {
            self.is_trusting.store(true, Ordering::Relaxed);
        }
    }

    /// Leaves the waiting kernels to the pool, and while one has been running for long all others of the run too: it does
    /// not move, so one that was taken for brief may be waiting for another.
    pub fn distrust(&self) {
        let is_long = |busy: &Busy| busy.nanoseconds > PEER_BLOCKED_NANOSECONDS;
        for busy in self.cores.iter().filter_map(SimCore::busy).filter(is_long) {
            // ORDERING: Relaxed: who reads it late runs one more kernel.
            self.is_trusting.store(false, Ordering::Relaxed);
            self.brief.forget(busy.function);
        }
        self.leave_to_pool();
    }

    /// Has the pool step all cores that wait for an AICPU thread.
    pub(super) fn leave_to_pool(&self) {
        while let Some(core) = self.inline.pop(0).or_else(|| self.inline.steal(0)) {
            self.enqueue(core);
        }
    }

    /// Runs the kernel that a core was given, `entered` at about this time, or leaves it to the pool. The calling thread has
    /// taken the core out of a queue. About how many nanoseconds it took, with what there is to do beside.
    #[inline(always)]
    fn run_kernel(&self, index: usize, entered: u64) -> u32 {
        // ORDERING: Relaxed: see `distrust`.
        if self.is_trusting.load(Ordering::Relaxed)
            && let Some((core, around)) = self.surroundings(index)
            // SAFETY: who takes a core out of a queue has it.
            && let Some(time) = unsafe { core.carry_out_brief(around, entered) }
        {
            return CALL_NANOSECONDS + time;
        }
        self.leave_kernel(index);
        LEAVING_NANOSECONDS
    }

    /// Leaves a core that the calling thread has taken out of a queue to the pool if it has to run a kernel, and otherwise steps it.
    #[cold]
    fn leave_kernel(&self, index: usize) {
        // ORDERING: Relaxed: see `distrust`.
        if !self.is_trusting.load(Ordering::Relaxed) {
            return self.enqueue(index);
        }
        // SAFETY: who takes a core out of a queue has it.
        if unsafe { self.step(index, Reach::UpToKernel) } == Step::HasTask {
            self.enqueue(index);
        }
    }

    /// The same, with a look at how long it takes.
    #[cold]
    fn measure_kernel(&self, index: usize) -> u32 {
        // SAFETY: who takes a core out of a queue has it.
        let function = unsafe { self.cores[index].dispatched_kernel(self.registers.core(index)) };
        let entered = clock::nanoseconds();
        let time = self.run_kernel(index, entered);
        if let Some(function) = function.filter(|&function| self.brief.time_of(function).is_some())
        {
            self.brief.took(function, clock::nanoseconds().saturating_sub(entered));
        }
        time
    }
}

/// Nanoseconds of the clock, for little and somewhat later than it is: of a kernel that was entered then, nobody
/// believes that it has been running for longer than it has.
fn about_now() -> u64 {
    clock::coarse_nanoseconds().saturating_add(COARSENESS)
}
