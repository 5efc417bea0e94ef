//! What the scheduler threads wait for, where every thread can see it: for reports.
//!
//! A thread puts its notice up whenever its list has changed, so the notice is as good as the list
//! once nothing moves any more, which is when somebody asks.

use core::fmt;

use spin::Mutex;

use super::condition::Condition;
use super::waiting_list::WAITING_LIMIT;
use super::{NamedSubtask, SCHEDULER_LIMIT};

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
}

impl Notices {
    /// Replaces the notice of a thread.
    pub(crate) fn publish(&self, thread: usize, notice: Notice) {
        if let Some(place) = self.by_thread.get(thread) {
            *place.lock() = notice;
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

    /// All notices together, as the end of a message.
    pub(crate) fn clause(&self) -> Clause {
        Clause(self.sum())
    }

    /// Takes all notices down; between runs.
    pub(crate) fn clear(&self) {
        for notice in &self.by_thread {
            *notice.lock() = Notice::default();
        }
    }
}
