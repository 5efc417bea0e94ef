//! A graph that is finished: its image, and what changes in it from run to run.
//!
//! ```text
//!  GraphBuilder ── of ──▶ KnownGraph ── image ──▶ bytes for the device
//!  next GraphBuilder ── patches ──▶ same structure: the argument words that differ
//!                                   another one: GraphDifference
//! ```
//!
//! It keeps 20 bytes for a task, 8 for an argument and 12 for an edge: the image, and tasks and edges as
//! the builder had them, so that comparing is reading memory once.

use std::mem;

use protocol::{GraphHeader, GraphLayout, GraphPatch};
use zerocopy::IntoBytes;

use super::builder::{Edge, TaskKind};
use super::image::{Counts, Image};
use super::{GraphBuilder, GraphDifference, GraphError, StructureHash, cycle};

/// Words that are compared at once while there are few differences.
const COMPARED_WORDS: usize = 256;

/// Most bytes of host memory that are kept for the next graph.
const RECYCLED_BYTES_MAX: usize = 32 << 20;

/// A graph without cycles, with the values that its arguments had last.
#[derive(Debug)]
pub struct KnownGraph {
    structure: StructureHash,
    kinds: Vec<TaskKind>,
    /// In the order in which they were added.
    edges: Vec<Edge>,
    image: Image,
}

/// Memory in which graphs are finished: that of graphs that are not needed any more.
#[derive(Debug, Default)]
pub(crate) struct Recycled {
    counts: Counts,
    kinds: Vec<TaskKind>,
    edges: Vec<Edge>,
    words: Vec<u64>,
}

impl Recycled {
    /// Takes the memory of a graph, if that is not too much to be kept for nothing.
    pub(crate) fn take(&mut self, graph: KnownGraph) {
        if graph.host_bytes() <= RECYCLED_BYTES_MAX {
            (self.kinds, self.edges, self.words) =
                (graph.kinds, graph.edges, graph.image.into_words());
        }
    }
}

impl KnownGraph {
    /// Takes over what `builder` has, which stays as it is. Takes time in proportion to tasks, edges
    /// and arguments.
    ///
    /// # Errors
    ///
    /// [`GraphError::Cycle`], and [`GraphError::Empty`] where there is no task, and so nothing to run.
    pub fn of(builder: &GraphBuilder) -> Result<Self, GraphError> {
        Self::of_in(builder, &mut Recycled::default())
    }

    /// The same, in memory that others have left.
    pub(crate) fn of_in(builder: &GraphBuilder, memory: &mut Recycled) -> Result<Self, GraphError> {
        let structure = builder.structure();
        let words = mem::take(&mut memory.words);
        let image = Image::of(builder, structure, words, &mut memory.counts)?;
        cycle::refuse(&image.parts(), &memory.counts.predecessors, &builder.edges)?;
        let (mut kinds, mut edges) = (mem::take(&mut memory.kinds), mem::take(&mut memory.edges));
        kinds.clone_from(&builder.tasks);
        edges.clone_from(&builder.edges);
        Ok(Self { structure, kinds, edges, image })
    }

    /// The image, with `number` as that of the upload: what
    /// [`GraphView::parse`](protocol::GraphView::parse) takes. It begins at a multiple of 8.
    ///
    /// No two images of a device have the same number, and none has 0.
    pub fn image(&mut self, number: u64) -> &[u8] {
        self.image.set_number(number);
        self.image.bytes()
    }

    /// Writes what [`image`](Self::image) gives into `image`, whose former content is dropped, for
    /// those who cannot hold the graph for as long as they need its bytes.
    pub fn write_image(&self, number: u64, image: &mut Vec<u8>) {
        image.clear();
        image.extend_from_slice(self.image.bytes());
        let header = GraphHeader { number, ..*self.image.header() };
        image[..size_of::<GraphHeader>()].copy_from_slice(header.as_bytes());
    }

    /// Whether `builder` has the same structure; all of it is compared. Then [`patches`](Self::patches)
    /// is all that its run needs.
    #[must_use]
    pub fn has_structure_of(&self, builder: &GraphBuilder) -> bool {
        self.kinds.as_bytes() == builder.tasks.as_bytes()
            && self.edges.as_bytes() == builder.edges.as_bytes()
    }

    /// In what `builder` differs from this graph first; `None` where it has the same structure.
    #[must_use]
    pub fn first_difference(&self, builder: &GraphBuilder) -> Option<GraphDifference> {
        if self.has_structure_of(builder) {
            return None;
        }
        GraphDifference::first((&self.kinds, &self.edges), (&builder.tasks, &builder.edges))
    }

    /// Writes into `patches`, whose former content is dropped, the argument words that are other in
    /// `builder` than here, ascending; returns how many. From now on the graph has the new values, so
    /// that the patches have to reach the device, or a new image has to.
    ///
    /// A patch is twice as long as a word and has to be applied too: where more than a third of
    /// [`args`](Self::args) has changed, it is better to write all of them to their place in the
    /// image, which is [`layout`](Self::layout)`().args`.
    ///
    /// # Errors
    ///
    /// The difference where `builder` has another structure. Nothing changes.
    pub fn patches(
        &mut self,
        builder: &GraphBuilder,
        patches: &mut Vec<GraphPatch>,
    ) -> Result<usize, GraphDifference> {
        match self.first_difference(builder) {
            Some(difference) => Err(difference),
            None => Ok(self.renew(builder, patches)),
        }
    }

    /// The same for a builder that is known to have the same structure.
    pub(crate) fn renew(&mut self, builder: &GraphBuilder, patches: &mut Vec<GraphPatch>) -> usize {
        patches.clear();
        let mut first = 0;
        let new = builder.args.chunks(COMPARED_WORDS);
        for (known, new) in self.image.args_mut().chunks_mut(COMPARED_WORDS).zip(new) {
            if known != new {
                let words = (first..).zip(known.iter().zip(new));
                let changed = words.filter(|(_, (known, new))| known != new);
                let patch = |(word, (_, value)): (u32, (_, &u64))| GraphPatch {
                    word,
                    value: *value,
                    ..GraphPatch::default()
                };
                patches.extend(changed.map(patch));
                known.copy_from_slice(new);
            }
            // CAST: at most `COMPARED_WORDS`.
            first += new.len() as u32;
        }
        patches.len()
    }

    /// Under what its structure is looked for.
    #[must_use]
    pub const fn structure(&self) -> StructureHash {
        self.structure
    }

    /// Tasks, at least one.
    #[must_use]
    pub const fn task_count(&self) -> usize {
        self.kinds.len()
    }

    /// Edges.
    #[must_use]
    pub const fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Tasks without predecessor, at least one.
    #[must_use]
    pub const fn root_count(&self) -> usize {
        // CAST: at least 32 bits.
        self.image.header().root_count as usize
    }

    /// The argument words of all tasks, those of task 0 first, as the image has them at
    /// `layout().args`.
    #[must_use]
    pub fn args(&self) -> &[u64] {
        self.image.args()
    }

    /// Where the parts of its image are, in bytes from its start.
    #[must_use]
    pub fn layout(&self) -> GraphLayout {
        self.image.layout()
    }

    /// Bytes of its image: 64, 16 for a task, 8 for an argument, 4 for an edge, 4 for a root.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.layout().roots.end
    }

    /// Bytes of host memory that it keeps.
    #[must_use]
    pub fn host_bytes(&self) -> usize {
        let tasks_and_edges = size_of_val(&*self.kinds) + size_of_val(&*self.edges);
        size_of::<Self>() + tasks_and_edges + self.image.host_bytes()
    }
}

#[cfg(test)]
mod tests;
