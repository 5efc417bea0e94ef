//! Which graphs have the same structure: what can run again with other arguments.
//!
//! The structure of a graph is everything but the values of its arguments: how many tasks it has, what
//! each is (kernel, kind of core, number of arguments), and the edges, all in the order in which they
//! were added. The same edges in another order are the same work, but another structure here: an
//! orchestration that does the same adds them in the same order, and an order that counts is compared
//! at the speed of memory.
//!
//! ```text
//!  builder ──▶ known graphs, the few that a callable has ──▶ compare in full ──▶ same, or another
//!  known graph ──▶ StructureHash ──▶ in its image, by which logs name it
//! ```
//!
//! The comparison ends at the first number that differs, mostly that of the tasks, so that a hash of the
//! new graph would cost more than it saves.

use std::fmt;

use twox_hash::xxhash3_128::Hasher;
use zerocopy::IntoBytes;

use super::GraphBuilder;
use super::builder::{Edge, TaskKind};

/// What a structure is called: XXH3-128. Equal hashes do not prove equal structures, which
/// [`KnownGraph::has_structure_of`](super::KnownGraph::has_structure_of) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StructureHash(pub u128);

impl StructureHash {
    /// The hash of these tasks and edges.
    pub(super) fn of(tasks: &[TaskKind], edges: &[Edge]) -> Self {
        let mut hasher = Hasher::new();
        // How many tasks there are says where they end and edges begin.
        hasher.write(&(tasks.len() as u64).to_le_bytes());
        hasher.write(tasks.as_bytes());
        hasher.write(edges.as_bytes());
        Self(hasher.finish_128())
    }

    /// The first eight bytes of the hash, as it is written.
    pub const fn prefix(self) -> u64 {
        // CAST: the upper half.
        (self.0 >> 64) as u64
    }
}

impl fmt::Display for StructureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl GraphBuilder {
    /// What the structure of the graph as it is now is called. Reads 4 bytes for a task and 8 for an edge.
    #[must_use]
    pub fn structure(&self) -> StructureHash {
        StructureHash::of(&self.tasks, &self.edges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::test_graphs::{Plan, empty};

    #[test]
    fn the_hash_is_the_published_one_of_the_bytes_in_order() {
        let mut graph = Plan::bare(2, &[(1, 0)]).build();
        // Two tasks with func id 7 on core type 1, and the edge.
        let bytes = [2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 1, 7, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        let expected = twox_hash::XxHash3_128::oneshot(&bytes);
        let hash = graph.structure();
        assert_eq!(hash.0, expected);
        assert_eq!(hash.to_string(), format!("{expected:032x}"));
        assert!(hash.to_string().starts_with(&format!("{:016x}", hash.prefix())));
        graph.clear();
        assert_eq!(graph.structure(), empty().structure());
    }

    #[test]
    fn the_order_of_edges_counts() {
        let one = Plan::bare(3, &[(0, 1), (0, 2)]).build();
        let other = Plan::bare(3, &[(0, 2), (0, 1)]).build();
        assert_ne!(one.structure(), other.structure());
    }

    #[test]
    fn an_edge_is_not_taken_for_two_tasks() {
        // The edge's bytes are those of two tasks: func id 7 on core type 1 is 0x0100_0007.
        let tasks = StructureHash::of(&[KIND; 4], &[]);
        let edges = StructureHash::of(&[KIND; 2], &[Edge { from: 0x0100_0007, to: 0x0100_0007 }]);
        assert_ne!(tasks, edges);
    }

    const KIND: TaskKind = TaskKind { func_id: 7, arg_count: 0, core_type: 1 };
}
