//! In what two graphs differ that should have the same structure.

use std::fmt;

use protocol::CoreType;

use super::builder::{Edge, TaskKind};

/// The first thing in which a new graph differs from a known one. Values of arguments are no
/// difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphDifference {
    /// One has more tasks.
    TaskCount {
        /// Tasks of the known graph.
        known: usize,
        /// Tasks of the new one.
        new: usize,
    },
    /// A task runs another kernel.
    Kernel {
        /// The task.
        task: usize,
        /// Its func id in the known graph.
        known: u16,
        /// Its func id in the new one.
        new: u16,
    },
    /// A task runs on another kind of core.
    CoreType {
        /// The task.
        task: usize,
        /// Its core type in the known graph: 0 (AIC) or 1 (AIV).
        known: u8,
        /// Its core type in the new one.
        new: u8,
    },
    /// A task has another number of arguments.
    ArgumentCount {
        /// The task.
        task: usize,
        /// How many it has in the known graph.
        known: usize,
        /// How many it has in the new one.
        new: usize,
    },
    /// One has more edges.
    EdgeCount {
        /// Edges of the known graph.
        known: usize,
        /// Edges of the new one.
        new: usize,
    },
    /// An edge joins other tasks.
    Edge {
        /// Which one, counted from 0 in the order in which they were added.
        index: usize,
        /// From which task to which it leads in the known graph.
        known: (u32, u32),
        /// From which task to which it leads in the new one.
        new: (u32, u32),
    },
}

impl GraphDifference {
    /// The first difference: in the number of tasks, then in a task, in the number of edges, in an edge.
    pub(super) fn first(
        (known_tasks, known_edges): (&[TaskKind], &[Edge]),
        (new_tasks, new_edges): (&[TaskKind], &[Edge]),
    ) -> Option<Self> {
        if known_tasks.len() != new_tasks.len() {
            return Some(Self::TaskCount { known: known_tasks.len(), new: new_tasks.len() });
        }
        let mut tasks = known_tasks.iter().zip(new_tasks).enumerate();
        let task = tasks.find_map(|(task, (known, new))| Self::of_tasks(task, *known, *new));
        if task.is_some() {
            return task;
        }
        if known_edges.len() != new_edges.len() {
            return Some(Self::EdgeCount { known: known_edges.len(), new: new_edges.len() });
        }
        let mut edges = known_edges.iter().zip(new_edges).enumerate();
        edges.find(|(_, (known, new))| known != new).map(|(index, (known, new))| {
            let (known, new) = ((known.from, known.to), (new.from, new.to));
            Self::Edge { index, known, new }
        })
    }

    fn of_tasks(task: usize, known: TaskKind, new: TaskKind) -> Option<Self> {
        if known.func_id != new.func_id {
            return Some(Self::Kernel { task, known: known.func_id, new: new.func_id });
        }
        if known.core_type != new.core_type {
            return Some(Self::CoreType { task, known: known.core_type, new: new.core_type });
        }
        let (known, new) = (usize::from(known.arg_count), usize::from(new.arg_count));
        (known != new).then_some(Self::ArgumentCount { task, known, new })
    }
}

impl fmt::Display for GraphDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TaskCount { known, new } => {
                write!(f, "the graph has {new} tasks, the known one has {known}")
            }
            Self::Kernel { task, known, new } => {
                write!(f, "task {task} runs func id {new}, in the known graph {known}")
            }
            Self::CoreType { task, known, new } => {
                let (known, new) = (core_name(known), core_name(new));
                write!(f, "task {task} runs on {new}, in the known graph on {known}")
            }
            Self::ArgumentCount { task, known, new } => {
                write!(f, "task {task} has {new} arguments, in the known graph {known}")
            }
            Self::EdgeCount { known, new } => {
                write!(f, "the graph has {new} edges, the known one has {known}")
            }
            Self::Edge { index, known, new } => write!(
                f,
                "edge {index} leads from task {} to task {}, in the known graph from task {} to \
                 task {}",
                new.0, new.1, known.0, known.1
            ),
        }
    }
}

impl std::error::Error for GraphDifference {}

/// The name of a core type; the builder lets no other number in.
fn core_name(core_type: u8) -> &'static str {
    CoreType::try_from(i32::from(core_type)).map_or("no core", CoreType::name)
}
