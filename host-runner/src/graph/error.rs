//! What is wrong with a graph.

/// A graph that cannot be built or run. Tasks are named by the numbers that `add_task` returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// More of something than a graph can have.
    #[error(
        "the graph has no room for another {what}: it has {limit}; split the work into several runs"
    )]
    Full {
        /// "task", "edge", "argument" or "description of a tensor".
        what: &'static str,
        /// How many it can have.
        limit: usize,
    },
    /// More arguments than a task takes, or a negative number of them.
    #[error("task {task} has {have} arguments; a task takes 0 to {limit}")]
    ArgumentCount {
        /// The number that the task would have had.
        task: u32,
        /// As given.
        have: i64,
        /// How many it takes.
        limit: usize,
    },
    /// A kernel that the callable does not have.
    #[error("task {task} names func id {func_id}, for which the callable has no kernel")]
    UnknownKernel {
        /// The number that the task would have had.
        task: u32,
        /// As given.
        func_id: i32,
    },
    /// A core type that there is not.
    #[error("task {task} names core type {value}; use 0 (AIC) or 1 (AIV)")]
    UnknownCoreType {
        /// The number that the task would have had.
        task: u32,
        /// As given.
        value: i32,
    },
    /// An edge from or to a task that there is not.
    #[error(
        "the edge from task {from} to task {to} names a task that has not been added; there are {tasks}"
    )]
    UnknownTask {
        /// As given.
        from: i32,
        /// As given.
        to: i32,
        /// Tasks so far.
        tasks: usize,
    },
    /// Tensors of a task that there is not.
    #[error(
        "the tensors of task {task} are described, which has not been added; there are {tasks}"
    )]
    UnknownInfoTask {
        /// As given.
        task: i32,
        /// Tasks so far.
        tasks: usize,
    },
    /// More tensors of a task than it can have arguments, or a negative number of them.
    #[error("{have} tensors of task {task} are described; a task has 0 to {limit}")]
    TensorInfoCount {
        /// As given.
        task: i32,
        /// As given.
        have: i64,
        /// How many it can have.
        limit: usize,
    },
    /// A graph without tasks. It can be built, but there is nothing to run.
    #[error("the graph has no task, so that there is nothing to run; add one")]
    Empty,
    /// Tasks that wait for each other.
    #[error("{}", show_cycle(tasks, *length))]
    Cycle {
        /// The first tasks of the cycle, each waiting for the one before it.
        tasks: Vec<u32>,
        /// How many tasks it has.
        length: usize,
    },
}

/// "tasks 3 → 4 → 3 wait for each other".
fn show_cycle(tasks: &[u32], length: usize) -> String {
    let names: Vec<String> = tasks.iter().map(u32::to_string).collect();
    let shown = names.join(" → ");
    let first = names.first().map(String::as_str).unwrap_or_default();
    if length == 1 {
        format!("task {first} waits for itself; take the edge away")
    } else if length > tasks.len() {
        let more = length - tasks.len();
        let shown = format!("{shown} → … ({more} more)");
        format!("{length} tasks wait for each other: {shown} → {first}; take one of the edges away")
    } else {
        format!("tasks wait for each other: {shown} → {first}; take one of the edges away")
    }
}
