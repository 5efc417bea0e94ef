//! In what two graphs differ that should have the same structure.

use std::fmt;

use protocol::CoreType;

use super::GraphBuilder;
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

impl GraphBuilder {
    /// In what `new` differs from this graph, which is the known one; `None` where it has the same
    /// structure.
    #[must_use]
    pub fn first_difference(&self, new: &Self) -> Option<GraphDifference> {
        GraphDifference::first((&self.tasks, &self.edges), (&new.tasks, &new.edges))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::KnownGraph;
    use crate::graph::test_graphs::Plan;

    fn plan() -> Plan {
        let tasks = vec![(vec![1, 2], 0, 0), (vec![3], 7, 1), (vec![], 1023, 1)];
        Plan { tasks, edges: vec![(0, 1), (2, 1)] }
    }

    /// What is said of the plan after the change.
    fn first(change: impl Fn(&mut Plan)) -> Option<(GraphDifference, String)> {
        let graph = KnownGraph::of(&plan().build()).unwrap();
        let mut new = plan();
        change(&mut new);
        let difference = graph.first_difference(&new.build());
        assert_eq!(plan().build().first_difference(&new.build()), difference);
        difference.map(|difference| (difference, difference.to_string()))
    }

    #[test]
    fn values_are_no_difference() {
        assert_eq!(first(|_| ()), None);
        assert_eq!(first(|plan| *plan = plan.with_words(&[7, 8, 9])), None);
    }

    #[test]
    fn each_change_is_named_with_what_was_and_what_is() {
        let is = |difference, text: &str| Some((difference, text.to_owned()));
        assert_eq!(
            first(|plan| plan.tasks.push((vec![], 0, 0))),
            is(
                GraphDifference::TaskCount { known: 3, new: 4 },
                "the graph has 4 tasks, the known one has 3"
            )
        );
        assert_eq!(
            first(|plan| plan.tasks[1].1 = 0),
            is(
                GraphDifference::Kernel { task: 1, known: 7, new: 0 },
                "task 1 runs func id 0, in the known graph 7"
            )
        );
        assert_eq!(
            first(|plan| plan.tasks[1].2 = 0),
            is(
                GraphDifference::CoreType { task: 1, known: 1, new: 0 },
                "task 1 runs on AIC, in the known graph on AIV"
            )
        );
        assert_eq!(
            first(|plan| plan.tasks[0].0.truncate(1)),
            is(
                GraphDifference::ArgumentCount { task: 0, known: 2, new: 1 },
                "task 0 has 1 arguments, in the known graph 2"
            )
        );
        assert_eq!(
            first(|plan| plan.edges.truncate(1)),
            is(
                GraphDifference::EdgeCount { known: 2, new: 1 },
                "the graph has 1 edges, the known one has 2"
            )
        );
        assert_eq!(
            first(|plan| plan.edges[1] = (2, 0)),
            is(
                GraphDifference::Edge { index: 1, known: (2, 1), new: (2, 0) },
                "edge 1 leads from task 2 to task 0, in the known graph from task 2 to task 1"
            )
        );
    }

    #[test]
    fn the_first_of_several_is_named() {
        let change = |plan: &mut Plan| {
            plan.edges.clear();
            plan.tasks[2].1 = 7;
            plan.tasks[1].0.clear();
        };
        let (difference, _) = first(change).unwrap();
        assert_eq!(difference, GraphDifference::ArgumentCount { task: 1, known: 1, new: 0 });
    }
}
