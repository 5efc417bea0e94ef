//! What a graph waits for whose run does not move, though no core and no condition is busy.
//!
//! Nothing is lost between two tasks, so there is one way to get there: tasks that wait for each other.
//! The host has looked for cycles, and says so earlier and better.

use core::fmt;

use super::Graph;

/// Tasks that have not been made ready.
///
/// Prints as "3 of 5 tasks wait for others, so there is a cycle; the first is task 2 (func_id 7), which
/// waits for 1 of its 2 predecessors".
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitingTasks {
    tasks: usize,
    waiting: usize,
    first: FirstWaiting,
}

#[derive(Debug, Clone, Copy)]
struct FirstWaiting {
    number: usize,
    func_id: u16,
    waits_for: u32,
    predecessors: u32,
}

impl Graph<'_> {
    /// The tasks that have not been made ready in the run after `runs` others; `None` if all have.
    /// Looks at all tasks: for reports.
    pub(crate) fn waiting_tasks(&self, runs: u64) -> Option<WaitingTasks> {
        let all = self.counts.iter().zip(self.view.tasks).enumerate();
        let mut waiting = all.filter_map(|(number, (count, task))| {
            Some(FirstWaiting {
                number,
                func_id: task.func_id,
                waits_for: count.waits_for(runs)?,
                predecessors: task.predecessor_count,
            })
        });
        let first = waiting.next()?;
        Some(WaitingTasks { tasks: self.view.tasks.len(), waiting: 1 + waiting.count(), first })
    }
}

impl fmt::Display for WaitingTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, waiting, first } = self;
        let FirstWaiting { number, func_id, waits_for, predecessors } = first;
        write!(
            f,
            "{waiting} of {tasks} tasks wait for others, so there is a cycle; the first is task \
             {number} (func_id {func_id}), which waits for {waits_for} of its {predecessors} \
             predecessors"
        )
    }
}
