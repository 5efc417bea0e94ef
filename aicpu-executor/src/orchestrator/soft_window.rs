//! Which slot of a ring a task gets: at first only a part of the ring is in use.
//!
//! A ring has slots for the longest stretch of tasks that may be alive at once. Most graphs have far
//! fewer, and going round all slots would make each submission touch memory that no cache has any
//! more. So a ring goes round its first slots only, and takes more into the round, twice as many each
//! time, when those are not enough.
//!
//! Tasks that are alive keep their slots meanwhile. With `w` slots in the round and task `g` being the
//! next, the new slots come into the round between that of task `g - 1` and that of task `g - w`, the
//! oldest there can be. So of each `2 × w` tasks from `g` on, the first `w` get the new slots, in their
//! order, and the others those that they would have got before.
//!
//! A ring that has taken more into the round than it needs goes back: when all tasks that are alive are
//! among those `w` others, they are where they would be if the window had not grown.

/// Slots of a ring that are in use at first: what fits into a second-level cache, with the memory
/// that the tasks use.
pub(super) const FIRST_SLOTS: u32 = 1 << 10;

/// How often the slots in use can double.
const GROWTHS_MAX: usize = 26;

/// The slots in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoftWindow {
    /// Slots of the ring; a power of two.
    window: u32,
    /// Slots in use; a power of two.
    slots: u32,
    /// The doublings so far: slots in use before, and the next task then.
    growths: [(u32, u32); GROWTHS_MAX],
    grown: usize,
}

impl Default for SoftWindow {
    fn default() -> Self {
        Self::new(0, FIRST_SLOTS)
    }
}

impl SoftWindow {
    /// The first of `window` slots; both numbers are powers of two.
    pub(super) fn new(window: u32, first: u32) -> Self {
        Self { window, slots: window.min(first), growths: [(0, 0); GROWTHS_MAX], grown: 0 }
    }

    /// Slots in use. One stays free.
    #[inline]
    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// Whether all slots of the ring are in use.
    pub(super) fn is_whole(&self) -> bool {
        self.slots == self.window || self.grown == GROWTHS_MAX
    }

    /// The slot of a task that is alive, or of the next one.
    #[inline]
    pub(super) fn index(&self, local: u32) -> u32 {
        if self.grown == 0 {
            return local & self.slots.wrapping_sub(1);
        }
        self.index_of_grown(local)
    }

    /// The same when the window has grown.
    #[inline]
    fn index_of_grown(&self, local: u32) -> u32 {
        let (mut level, mut slots) = (self.grown, self.slots);
        while let Some((before, next)) = level.checked_sub(1).and_then(|at| self.growths.get(at)) {
            let since = local.wrapping_sub(*next);
            if since & before == 0 {
                return before + (since & (before - 1));
            }
            slots = *before;
            level -= 1;
        }
        local & slots.wrapping_sub(1)
    }

    /// Takes as many slots into use again; `next` is the next task.
    pub(super) fn grow(&mut self, next: u32) {
        let Some(growth) = self.growths.get_mut(self.grown) else { return };
        if self.slots < self.window {
            *growth = (self.slots, next);
            self.grown += 1;
            self.slots *= 2;
        }
    }

    /// Goes back to half the slots if the tasks that are alive, `oldest` up to the one before `next`, are
    /// few and have none of the others.
    #[inline]
    pub(super) fn settle(&mut self, oldest: u32, next: u32) {
        let Some(last) = self.grown.checked_sub(1) else { return };
        let Some((before, grown_at)) = self.growths.get(last).copied() else { return };
        let (first, end) = (oldest.wrapping_sub(grown_at), next.wrapping_sub(grown_at));
        let are_few = next.wrapping_sub(oldest) <= before / 2;
        if are_few && first & before != 0 && first ^ end < before {
            self.slots = before;
            self.grown = last;
        }
    }

    /// Goes back to the first slots. No task is alive.
    pub(super) fn shrink(&mut self) {
        if let Some((before, _)) = self.growths.first().filter(|_| self.grown > 0) {
            self.slots = *before;
            self.grown = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whenever the window grows or goes back, whatever is taken and given back before and after:
        /// each task that is alive keeps its slot, and no other has it.
        #[test]
        fn tasks_that_are_alive_have_slots_of_their_own(
            steps in prop::collection::vec(0_u8..16, 1..400),
            start in any::<u32>(),
        ) {
            let mut soft = SoftWindow::new(64, 4);
            let mut next = start;
            let mut alive: VecDeque<(u32, u32)> = VecDeque::new();
            for step in steps {
                match step {
                    0..=7 => {
                        if alive.len() as u32 + 1 >= soft.slots() {
                            soft.grow(next);
                        }
                        if alive.len() as u32 + 1 < soft.slots() {
                            alive.push_back((next, soft.index(next)));
                            next = next.wrapping_add(1);
                        }
                    }
                    8..=14 => drop(alive.pop_front()),
                    _ => alive.clear(),
                }
                if let Some((oldest, _)) = alive.front() {
                    soft.settle(*oldest, next);
                }
                if alive.is_empty() {
                    soft.shrink();
                }
                let slots: BTreeSet<u32> = alive.iter().map(|(_, slot)| *slot).collect();
                prop_assert_eq!(slots.len(), alive.len());
                for (local, slot) in &alive {
                    prop_assert_eq!(soft.index(*local), *slot);
                    prop_assert!(*slot < soft.slots());
                }
            }
        }
    }

    /// A window that has grown for a moment is as small as before soon afterwards.
    #[test]
    fn a_window_that_is_larger_than_needed_goes_back() {
        for alive in [0, 1, 2] {
            let mut soft = SoftWindow::new(64, 4);
            for growth in 0..4 {
                soft.grow(growth * 3);
            }
            assert_eq!(soft.slots(), 64);
            for next in 100..400 {
                soft.settle(next - alive, next);
            }
            assert_eq!(soft.slots(), 4, "{alive} tasks alive");
        }
    }
}
