//! Kernels on the threads that dispatch them.

use super::*;
use crate::device::sim::clock;

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
    pub fn seat(self: &Arc<Self>, number: usize) -> Seated {
        const { assert!(C::MAX_CORES <= CORES_MAX) };
        if !IS_ATTACHED.replace(true) {
            self.attach_thread();
        }
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
        if batch.is_multiple_of(MEASURED) {
            self.measure_kernel(first);
            return true;
        }
        self.run_kernel(first);
        for _ in 1..KERNELS_AT_ONCE {
            let Some(core) = self.inline.pop(seat) else { break };
            self.run_kernel(core);
        }
        true
    }

    /// Whether kernels wait for a thread that is busy otherwise.
    pub fn has_waiting_kernels(&self) -> bool {
        self.inline.count() > 1
    }

    /// Has AICPU threads run brief kernels again.
    pub(super) fn trust(&self) {
        // ORDERING: Relaxed: the start of the run publishes it.
        if !self.is_trusting.load(Ordering::Relaxed) {
            self.is_trusting.store(true, Ordering::Relaxed);
        }
    }

    /// Leaves the waiting kernels to the pool, and while any is running all others of the run too: it does
    /// not move, so one that was taken for brief may be waiting for another.
    pub fn distrust(&self) {
        for busy in self.cores.iter().filter_map(SimCore::busy) {
            // ORDERING: Relaxed: who reads it late runs one more kernel.
            self.is_trusting.store(false, Ordering::Relaxed);
            self.brief.forget(busy.function);
        }
        while let Some(core) = self.inline.pop(0).or_else(|| self.inline.steal(0)) {
            self.enqueue(core);
        }
    }

    /// Runs the kernel that a core was given, or leaves it to the pool.
    fn run_kernel(&self, index: usize) {
        // ORDERING: Relaxed: see `distrust`.
        if !self.is_trusting.load(Ordering::Relaxed) {
            return self.enqueue(index);
        }
        let state = &self.cores[index].state;
        state.claim_queued();
        loop {
            if self.step(index, Reach::ThroughBriefKernels) == Step::HasTask {
                state.requeue();
                return self.enqueue(index);
            }
            if state.release() {
                return;
            }
        }
    }

    /// The same, with a look at how long it takes.
    fn measure_kernel(&self, index: usize) {
        let function = self.cores[index].dispatched_kernel(self.registers.core(index));
        let entered = clock::nanoseconds();
        self.run_kernel(index);
        if let Some(function) = function.filter(|&function| self.brief.contains(function)) {
            self.brief.took(function, clock::nanoseconds().saturating_sub(entered));
        }
    }
}
