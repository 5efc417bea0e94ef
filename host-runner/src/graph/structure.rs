//! Which graphs have the same structure: what can run again with other arguments.
//!
//! The structure of a graph is everything but the values of its arguments: how many tasks it has, what
//! each is (kernel, kind of core, number of arguments), and the edges, all in the order in which they
//! were added. The same edges in another order are the same work, but another structure here: an
//! orchestration that does the same adds them in the same order, and an order that counts is compared
//! at the speed of memory.
//!
//! ```text
//!  builder ──▶ StructureHash ──▶ graphs with the same hash ──▶ compare in full ──▶ same, or another
//! ```

use std::fmt;

use twox_hash::xxhash3_128::Hasher;
use zerocopy::IntoBytes;

use super::GraphBuilder;
use super::builder::{Edge, TaskKind};

/// Under what a structure is looked for: XXH3-128. Equal hashes do not prove equal structures, which
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
    /// Under what the structure of the graph as it is now is looked for. Reads 4 bytes for a task and 8
    /// for an edge.
    #[must_use]
    pub fn structure(&self) -> StructureHash {
        StructureHash::of(&self.tasks, &self.edges)
    }
}
