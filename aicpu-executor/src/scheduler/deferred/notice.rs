//! What the scheduler threads wait for, where every thread can see it: for reports.
//!
//! A thread puts its notice up whenever its list has changed, so the notice is as good as the list
//! once nothing moves any more, which is when somebody asks.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use protocol::Chip;
use spin::Mutex;

use super::condition::Condition;
use super::waiting_list::WAITING_LIMIT;
use super::{NamedSubtask, SCHEDULER_LIMIT};
use crate::platform::Platform;

/// One condition that is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Example {
    /// Whose.
    pub(crate) named: NamedSubtask,
    /// Conditions of that sub-task.
    pub(crate) count: u8,
    /// Which of them, from 0.
    pub(crate) index: u8,
    /// What for.
    pub(crate) condition: Condition,
    /// The value at the last look.
    pub(crate) value: u32,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notice {
    /// Sub-tasks whose kernels have returned.
    pub(crate) subtasks: u32,
    /// Their conditions that do not hold yet.
    pub(crate) conditions: u32,
    /// Cores whose sub-task found no room in the list.
    pub(crate) held_back: u32,
    /// One of the conditions.
    pub(crate) example: Option<Example>,
}

impl Notice {
    /// Whether nothing is waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.subtasks == 0 && self.held_back == 0
    }

    /// It, as the end of a message that is about something else.
    pub(crate) fn clause(self) -> Clause {
        Clause(self)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subtasks, conditions, held_back, .. } = self;
        let plural = |count: &u32| if *count == 1 { "" } else { "s" };
        write!(
            f,
            "{subtasks} sub-task{} wait{} for {conditions} deferred condition{}",
            plural(subtasks),
            if *subtasks == 1 { "s" } else { "" },
            plural(conditions)
        )?;
        if *held_back > 0 {
            write!(
                f,
                ", and {held_back} core{} held back since a thread has room for \
                 {WAITING_LIMIT} conditions",
                if *held_back == 1 { " is" } else { "s are" }
            )?;
        }
        if let Some(Example { named, count, index, condition, value }) = &self.example {
            let condition = condition.describe(*value);
            write!(f, "; condition {index} (of {count}, from 0) of {named}: {condition}")?;
        }
        Ok(())
    }
}

/// A notice at the end of a message that is about something else; nothing if nothing is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clause(Notice);

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; meanwhile {}", self.0) }
    }
}

/// The notices of all scheduler threads.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    by_thread: [Mutex<Notice>; SCHEDULER_LIMIT],
    /// Bit of each thread whose notice names a condition: in most runs none ever does, and then
    /// looking costs one load.
    naming: AtomicU32,
}

const _: () = assert!(SCHEDULER_LIMIT <= 32);

impl Notices {
    /// Replaces the notice of a thread.
    pub(crate) fn publish(&self, thread: usize, notice: Notice) {
        if let Some(place) = self.by_thread.get(thread) {
            *place.lock() = notice;
            // ORDERING: Relaxed (both): the lock has the notice; a bit that comes late is a look
            // that comes late.
            match notice.example {
                Some(_) => self.naming.fetch_or(1 << thread, Ordering::Relaxed),
                None => self.naming.fetch_and(!(1 << thread), Ordering::Relaxed),
            };
        }
    }

    /// All notices together.
    pub(crate) fn sum(&self) -> Notice {
        let mut sum = Notice::default();
        for notice in &self.by_thread {
            let notice = *notice.lock();
            sum.subtasks += notice.subtasks;
            sum.conditions += notice.conditions;
            sum.held_back += notice.held_back;
            sum.example = sum.example.or(notice.example);
        }
        sum
    }

    /// A number that changes, but for a rare coincidence, when a value that a notice names does.
    ///
    /// Looks at memory that tasks wait for, so it is for threads of the run that waits.
    pub(crate) fn values_now<C: Chip, P: Platform>(&self, platform: &P) -> u64 {
        /// Spreads a 32-bit value over the word (2^64 divided by the golden ratio).
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        // ORDERING: Relaxed: see `publish`.
        let naming = self.naming.load(Ordering::Relaxed);
        if naming == 0 {
            return 0;
        }
        let now = |(thread, notice): (usize, &Mutex<Notice>)| {
            if naming & (1 << thread) == 0 {
                return None;
            }
            let example = notice.lock().example?;
            Some(u64::from(example.condition.look::<C, P>(platform).value).wrapping_mul(SPREAD))
        };
        self.by_thread.iter().enumerate().filter_map(now).fold(0, u64::wrapping_add)
    }

    /// Takes all notices down; between runs.
    pub(crate) fn clear(&self) {
        for notice in &self.by_thread {
            *notice.lock() = Notice::default();
        }
        // ORDERING: Relaxed: the gate of the run publishes it.
        self.naming.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use protocol::{A2a3, DeferredCompletionEntry, DeviceAddr, TaskId};

    use super::super::waiting_list::Subtask;
    use super::*;
    use crate::region::SlotHandle;
    use crate::scheduler::Scheduler;
    use crate::scheduler::task_store::TaskName;
    use crate::testing::TestPlatform;

    fn notice(counter: &AtomicU32) -> Notice {
        let entry = DeferredCompletionEntry {
            addr: DeviceAddr::new(counter.as_ptr().expose_provenance() as u64),
            expected_value: 5,
            ..DeferredCompletionEntry::default()
        };
        let subtask = Subtask::new(SlotHandle::new(0, 3), 7, 2, 25);
        let named = NamedSubtask { task: TaskName::OfRing(TaskId::new(0, 3)), subtask };
        let condition = Condition::check::<A2a3>(&entry).expect("a good condition");
        let example = Some(Example { named, count: 2, index: 1, condition, value: 4 });
        Notice { subtasks: 1, conditions: 2, held_back: 0, example }
    }

    #[test]
    fn a_value_that_its_thread_has_not_looked_at_is_progress_too() {
        let (platform, scheduler) = (TestPlatform::without_cores(), Scheduler::default());
        let progress = || scheduler.progress::<A2a3, _>(&platform);
        let counters = [const { AtomicU32::new(0) }; 2];
        scheduler.deferred.publish(0, notice(&counters[0]));
        scheduler.deferred.publish(SCHEDULER_LIMIT - 1, notice(&counters[1]));
        let mut before = progress();
        assert_eq!(progress(), before);
        for counter in [0, 1, 1, 0] {
            counters[counter].fetch_add(1, Ordering::Relaxed);
            assert_ne!(progress(), before, "counter {counter}");
            before = progress();
        }
        scheduler.deferred.clear();
        assert_eq!(progress(), Scheduler::default().progress::<A2a3, _>(&platform));
    }

    #[test]
    fn notices_of_all_threads_add_up_and_one_condition_is_named() {
        let notices = Notices::default();
        assert_eq!(std::format!("{}", notices.sum().clause()), "");
        let counter = AtomicU32::new(0);
        notices.publish(3, notice(&counter));
        let only = Notice { subtasks: 2, conditions: 3, held_back: 1, example: None };
        notices.publish(0, only);
        let address = counter.as_ptr().expose_provenance();
        let expected = std::format!(
            "; meanwhile 3 sub-tasks wait for 5 deferred conditions, and 1 core is held back since a \
             thread has room for 4096 conditions; condition 1 (of 2, from 0) of the kernel of \
             func_id 7 (task 3 of ring 0, block 2, core 25): the counter at {address:#x} is 4 and \
             must reach 5"
        );
        assert_eq!(std::format!("{}", notices.sum().clause()), expected);
    }
}
