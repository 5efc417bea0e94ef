//! What one scheduler thread waits for: the conditions that do not hold yet, and their sub-tasks.
//!
//! Conditions are in one row without gaps, which a step polls in part; a sub-task has an entry of
//! its own that counts those of its conditions that are left. A sub-task in the list has at least
//! one, so there is room for it wherever there is room for its conditions: one limit for both.
//!
//! All memory is the executor's, a list for each thread: nothing is allocated, and nobody but the
//! thread touches it.

use core::cell::UnsafeCell;

use protocol::{Chip, MAX_DEFERRED_CONDITIONS};

use super::condition::{Condition, Flaw};
use super::{Registered, SCHEDULER_LIMIT};
use crate::platform::Platform;
use crate::scheduler::task_store::TaskHandle;

/// Conditions that a thread can wait for: as many as the reference's whole device (64 tasks of 64
/// conditions, spec trb §2.1).
pub(crate) const WAITING_LIMIT: usize = 64 * MAX_DEFERRED_CONDITIONS;

/// Conditions that one step looks at, so that a long list does not keep cores waiting: a look costs
/// some 100 ns on the chip, where the cache line has to be dropped first.
const POLLS_PER_STEP: usize = 256;

/// A sub-task that waits for conditions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subtask {
    /// Its task.
    pub(crate) task: TaskHandle,
    /// func_id of its kernel, -1 if unknown.
    pub(crate) kernel_id: i32,
    /// Its block.
    pub(crate) block: u32,
    /// The core it ran on.
    pub(crate) worker: u16,
    /// Conditions it registered.
    pub(crate) conditions: u8,
    /// Conditions that do not hold yet.
    left: u8,
    /// For a free entry: the next free one plus one, or 0.
    next_free: u16,
}

impl Subtask {
    /// Block `block` of `task`, whose kernel has ended on core `worker`.
    pub(crate) fn new(task: TaskHandle, kernel_id: i32, block: u32, worker: u16) -> Self {
        Self { task, kernel_id, block, worker, conditions: 0, left: 0, next_free: 0 }
    }
}

/// A condition that does not hold yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    /// What for.
    pub(crate) condition: Condition,
    /// The value it had when it was last looked at.
    pub(crate) seen: u32,
    /// Which sub-task's.
    subtask: u16,
    /// Its number within the sub-task, from 0.
    pub(crate) index: u8,
}

/// A condition that turned out to make no sense.
#[derive(Debug)]
pub(crate) struct Flawed {
    /// Whose.
    pub(crate) subtask: Subtask,
    /// Its number within the sub-task, from 0.
    pub(crate) index: u8,
    /// What is wrong.
    pub(crate) flaw: Flaw,
}

/// The list of one thread. Zeroes are a valid value: an empty list.
#[derive(Debug)]
pub(crate) struct WaitingList {
    /// Conditions in the row.
    condition_count: u32,
    /// Sub-tasks that wait.
    subtask_count: u32,
    /// Entries of `subtasks` ever used; those behind are free as well.
    subtasks_used: u16,
    /// First entry that was given back plus one, or 0.
    first_free: u16,
    /// Where polling goes on, downwards.
    cursor: u32,
    conditions: [Waiting; WAITING_LIMIT],
    subtasks: [Subtask; WAITING_LIMIT],
}

impl WaitingList {
    /// Conditions that still fit.
    pub(crate) fn room(&self) -> usize {
        WAITING_LIMIT - self.condition_count as usize
    }

    /// Conditions that do not hold yet.
    pub(crate) fn conditions(&self) -> u32 {
        self.condition_count
    }

    /// Sub-tasks that wait.
    pub(crate) fn subtasks(&self) -> u32 {
        self.subtask_count
    }

    /// One of the conditions, for messages.
    pub(crate) fn first(&self) -> Option<(&Subtask, &Waiting)> {
        let waiting = self.conditions.get(..self.condition_count as usize)?.first()?;
        Some((self.subtasks.get(usize::from(waiting.subtask))?, waiting))
    }

    /// Forgets everything.
    fn clear(&mut self) {
        (self.condition_count, self.subtask_count, self.cursor) = (0, 0, 0);
        (self.subtasks_used, self.first_free) = (0, 0);
    }

    /// Adds a sub-task with those of its conditions that do not hold. The caller has seen to it
    /// that there is [`room`](Self::room), and that there is such a condition.
    pub(super) fn add(&mut self, subtask: Subtask, conditions: &[Registered]) {
        let Some(entry) = self.take_entry() else { return };
        let mut left = 0;
        for registered in conditions.iter().filter(|registered| !registered.sight.holds) {
            let Some(place) = self.conditions.get_mut(self.condition_count as usize) else { break };
            *place = Waiting {
                condition: registered.condition,
                seen: registered.sight.value,
                subtask: entry,
                index: registered.index,
            };
            self.condition_count += 1;
            left += 1;
        }
        debug_assert!(left > 0, "the caller checks room and conditions");
        if let Some(place) = self.subtasks.get_mut(usize::from(entry)) {
            // CAST: at most 64.
            *place = Subtask { conditions: conditions.len() as u8, left, next_free: 0, ..subtask };
            self.subtask_count += 1;
        }
    }

    /// Takes a free entry for a sub-task.
    fn take_entry(&mut self) -> Option<u16> {
        let Some(entry) = self.first_free.checked_sub(1) else {
            self.subtasks_used += 1;
            return Some(self.subtasks_used - 1);
        };
        self.first_free = self.subtasks.get(usize::from(entry))?.next_free;
        Some(entry)
    }

    /// Looks at some of the conditions and gives `finished` the task of each sub-task whose last
    /// one holds. Returns whether any value has changed.
    ///
    /// # Errors
    ///
    /// [`Flawed`]: an event record that cannot be given back.
    pub(crate) fn poll<C: Chip, P: Platform>(
        &mut self,
        platform: &P,
        mut finished: impl FnMut(TaskHandle),
    ) -> Result<bool, Flawed> {
        let mut moved = false;
        for _ in 0..POLLS_PER_STEP.min(self.condition_count as usize) {
            if self.cursor == 0 {
                self.cursor = self.condition_count;
            }
            // Zero only if everything has held in this very step.
            let Some(at) = self.cursor.checked_sub(1) else { break };
            self.cursor = at;
            let Some(waiting) = self.conditions.get_mut(at as usize) else { break };
            let sight = waiting.condition.look::<C, P>(platform);
            moved |= sight.holds || sight.value != waiting.seen;
            waiting.seen = sight.value;
            if !sight.holds {
                continue;
            }
            let waiting = *waiting;
            if let Err(flaw) = waiting.condition.retire(platform)
                && let Some(&subtask) = self.subtasks.get(usize::from(waiting.subtask))
            {
                return Err(Flawed { subtask, index: waiting.index, flaw });
            }
            self.remove(at);
            if let Some(task) = self.count_down(waiting.subtask) {
                finished(task);
            }
        }
        Ok(moved)
    }

    /// Takes a condition out of the row; the last one takes its place.
    fn remove(&mut self, at: u32) {
        self.condition_count -= 1;
        if let Some(last) = self.conditions.get(self.condition_count as usize).copied()
            && let Some(place) = self.conditions.get_mut(at as usize)
        {
            *place = last;
        }
    }

    /// Counts a condition of a sub-task that holds; its task if that was the last.
    fn count_down(&mut self, entry: u16) -> Option<TaskHandle> {
        let subtask = self.subtasks.get_mut(usize::from(entry))?;
        subtask.left -= 1;
        if subtask.left > 0 {
            return None;
        }
        subtask.next_free = self.first_free;
        self.first_free = entry + 1;
        self.subtask_count -= 1;
        Some(subtask.task)
    }
}

/// The lists of all scheduler threads. Zeroes are a valid value.
#[derive(Debug)]
pub(crate) struct WaitingLists {
    lists: [UnsafeCell<WaitingList>; SCHEDULER_LIMIT],
}

// SAFETY: a list is used by one thread at a time: the scheduler thread of its index during a run,
// the thread that sets up before it; the gate of the run orders the two.
unsafe impl Sync for WaitingLists {}

impl WaitingLists {
    /// The list of the scheduler thread `thread`; there is one for every thread that a run may have.
    ///
    /// # Safety
    ///
    /// The caller is that thread of the run, and has no other reference to the list.
    #[expect(clippy::mut_from_ref, reason = "the contract makes it the only reference")]
    pub(crate) unsafe fn list(&self, thread: usize) -> Option<&mut WaitingList> {
        // SAFETY: exclusive by the contract.
        self.lists.get(thread).map(|list| unsafe { &mut *list.get() })
    }

    /// Empties all lists, whatever an earlier run has left.
    ///
    /// # Safety
    ///
    /// No other thread is in a run.
    pub(crate) unsafe fn clear(&self) {
        for list in &self.lists {
            // SAFETY: exclusive by the contract.
            unsafe { &mut *list.get() }.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::boxed::Box;
    use std::vec::Vec;

    use protocol::{A2a3, DeferredCompletionEntry, DeviceAddr};

    use super::*;
    use crate::testing::{TestPlatform, zeroed};

    /// Counters, and what a kernel that waits for them would register.
    struct Counters(Vec<AtomicU32>);

    impl Counters {
        fn new(count: usize) -> Self {
            Self((0..count).map(|_| AtomicU32::new(0)).collect())
        }

        fn registered(&self, platform: &TestPlatform, index: usize, expected: u32) -> Registered {
            let entry = DeferredCompletionEntry {
                addr: DeviceAddr::new(self.0[index].as_ptr().expose_provenance() as u64),
                expected_value: expected,
                ..DeferredCompletionEntry::default()
            };
            let condition = Condition::check::<A2a3>(&entry).unwrap();
            let sight = condition.look::<A2a3, _>(platform);
            Registered { condition, index: 0, sight }
        }
    }

    fn subtask(index: u32) -> Subtask {
        Subtask::new(TaskHandle::new(0, index), 0, 0, 0)
    }

    fn poll(list: &mut WaitingList, platform: &TestPlatform) -> (bool, Vec<u32>) {
        let mut finished = Vec::new();
        let polled = list.poll::<A2a3, _>(platform, |task| finished.push(task.raw()));
        (polled.unwrap(), finished)
    }

    #[test]
    fn every_subtask_finishes_once_in_whatever_order_the_conditions_come_true() {
        const SUBTASKS: usize = 37;
        let platform = TestPlatform::without_cores();
        let mut list: Box<WaitingList> = zeroed();
        // Strides without a common divisor with the count visit all.
        for round in [1, 5, 11, 36] {
            let counters = Counters::new(SUBTASKS * 2);
            for index in 0..SUBTASKS {
                let both = [index * 2, index * 2 + 1];
                let both = both.map(|counter| counters.registered(&platform, counter, 1));
                list.add(subtask(index as u32), &both);
            }
            let mut finished = Vec::new();
            for step in 0..SUBTASKS {
                let index = step * round % SUBTASKS;
                counters.0[index * 2 + step % 2].store(1, Ordering::Relaxed);
                assert_eq!(poll(&mut list, &platform), (true, Vec::new()));
                counters.0[index * 2 + 1 - step % 2].store(1, Ordering::Relaxed);
                let (moved, now) = poll(&mut list, &platform);
                assert!(moved);
                assert_eq!(now, [index as u32]);
                finished.extend(now);
            }
            assert_eq!((list.conditions(), list.subtasks()), (0, 0));
            assert_eq!(list.room(), WAITING_LIMIT);
            finished.sort_unstable();
            assert!(finished.iter().copied().eq(0..SUBTASKS as u32));
        }
        // Entries that were given back are taken first.
        assert_eq!(usize::from(list.subtasks_used), SUBTASKS);
    }

    #[test]
    fn a_step_looks_at_a_part_of_a_long_list_and_some_steps_at_all_of_it() {
        let platform = TestPlatform::without_cores();
        let mut list: Box<WaitingList> = zeroed();
        let counters = Counters::new(WAITING_LIMIT);
        for index in 0..WAITING_LIMIT {
            list.add(subtask(index as u32), &[counters.registered(&platform, index, 1)]);
        }
        assert_eq!(list.room(), 0);
        for counter in &counters.0 {
            counter.store(1, Ordering::Relaxed);
        }
        let mut finished = Vec::new();
        for _ in 0..WAITING_LIMIT / POLLS_PER_STEP {
            let before = platform.invalidations();
            let (_, now) = poll(&mut list, &platform);
            assert_eq!(platform.invalidations() - before, POLLS_PER_STEP as u64);
            finished.extend(now);
        }
        finished.sort_unstable();
        assert!(finished.iter().copied().eq(0..WAITING_LIMIT as u32));
    }

    #[test]
    fn a_value_that_changes_without_sufficing_is_movement_and_one_that_stays_is_none() {
        let platform = TestPlatform::without_cores();
        let mut list: Box<WaitingList> = zeroed();
        let counters = Counters::new(1);
        list.add(subtask(0), &[counters.registered(&platform, 0, 10)]);
        assert_eq!(poll(&mut list, &platform), (false, Vec::new()));
        for value in [3, 9, 2] {
            counters.0[0].store(value, Ordering::Relaxed);
            assert_eq!(poll(&mut list, &platform), (true, Vec::new()), "{value}");
            assert_eq!(poll(&mut list, &platform), (false, Vec::new()), "{value}");
        }
        counters.0[0].store(11, Ordering::Relaxed);
        assert_eq!(poll(&mut list, &platform), (true, std::vec![0]));
        assert_eq!(poll(&mut list, &platform), (false, Vec::new()));
    }
}
