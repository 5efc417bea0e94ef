//! The pool where a seed decides who goes on: cores are moved by whoever has the turn, and a thread
//! of the pool only calls kernels.

use std::sync::Arc;

use protocol::Chip;

use super::super::core::{Reach, SimCore, Step};
use super::super::run_state::Duty;
use super::super::turns::{AfterKernel, Cores, Turns};
use super::CorePool;

impl<C: Chip> CorePool<C> {
    /// Who goes on when, if a seed decides it.
    pub fn turns(&self) -> Option<&Turns> {
        self.turns.as_ref()
    }

    /// Leaves a core to whoever has the turn, and to the pool between runs.
    pub(super) fn ring_in_turn(&self, turns: &Turns, index: usize) {
        let Some(core) = self.cores.get(index) else { return };
        if core.state.notify() == Duty::Queue && !turns.ready(index) {
            self.enqueue(index);
        }
    }

    /// Steps a core that was left to the pool, when its run takes no turns any more.
    pub(super) fn step_without_turns(&self, index: usize) {
        let state = &self.cores[index].state;
        state.claim_queued();
        loop {
            // SAFETY: the core is claimed.
            while unsafe { self.step(index, Reach::OneTransition) } == Step::Moved {}
            if state.release() {
                return;
            }
        }
    }

    /// Calls the kernel of a core, and those of the cores that are picked next.
    pub(super) fn call_kernels(self: &Arc<Self>, turns: &Turns, first: usize) {
        let mut index = first;
        loop {
            let state = &self.cores[index].state;
            state.claim_queued();
            // SAFETY: the core is claimed.
            unsafe { self.step(index, Reach::OneTransition) };
            state.requeue();
            match turns.kernel_returned(self, index) {
                AfterKernel::Run(next) => index = next,
                AfterKernel::Done => return,
                AfterKernel::Free => return self.enqueue(index),
            }
        }
    }
}

impl<C: Chip> Cores for Arc<CorePool<C>> {
    fn next_kernel(&self, core: usize) -> Option<u64> {
        // SAFETY: those who take turns step a core with its claim, and who asks here has the turn, or nobody.
        unsafe { self.cores.get(core)?.next_kernel() }
    }

    fn running_kernel(&self, core: usize) -> Option<u64> {
        Some(self.cores.get(core)?.busy()?.function)
    }

    fn move_on(&self, core: usize) -> bool {
        let Some(SimCore { state, .. }) = self.cores.get(core) else { return false };
        state.claim_queued();
        // SAFETY: the core is claimed.
        let waits = unsafe { CorePool::step(self, core, Reach::OneTransition) } == Step::Waits;
        let is_left = waits && state.release();
        if !is_left {
            state.requeue();
        }
        !is_left
    }

    fn start_kernel(&self, core: usize, running: usize) {
        // Kernels outside keep their threads.
        if self.thread_count() <= running
            && let Err(error) = self.add_thread()
        {
            tracing::warn!(%error, "cannot start another thread for the simulated cores");
        }
        self.enqueue(core);
    }

    fn set_free(&self, core: usize) {
        self.enqueue(core);
    }
}
