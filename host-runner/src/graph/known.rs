//! A graph that is finished: its image, and what changes in it from run to run.
//!
//! ```text
//!  GraphBuilder ── of ──▶ KnownGraph ── write_image ──▶ bytes for the device
//!  next GraphBuilder ── patches ──▶ same structure: the argument words that differ
//!                                   another one: GraphDifference
//! ```
//!
//! It keeps 20 bytes for a task, 8 for an argument and 12 for an edge: the parts of the image, and what
//! the builder had, in the order in which it had it, so that comparing is reading memory once.

use protocol::{GraphHeader, GraphLayout, GraphPatch, GraphTask};
use zerocopy::IntoBytes;

use super::builder::{Edge, TaskKind};
use super::{GraphBuilder, GraphDifference, GraphError, StructureHash, cycle};

/// Words that are compared at once while there are few differences.
const COMPARED_WORDS: usize = 256;

/// A graph without cycles, with the values that its arguments had last.
#[derive(Debug)]
pub struct KnownGraph {
    structure: StructureHash,
    kinds: Vec<TaskKind>,
    /// In the order in which they were added.
    edges: Vec<Edge>,
    header: GraphHeader,
    tasks: Vec<GraphTask>,
    args: Vec<u64>,
    /// Of task 0, of task 1, …; those of one task in the order in which they were added.
    successors: Vec<u32>,
    roots: Vec<u32>,
}

impl KnownGraph {
    /// Takes over what `builder` has, which stays as it is. Takes time in proportion to tasks, edges
    /// and arguments.
    ///
    /// # Errors
    ///
    /// [`GraphError::Cycle`], and [`GraphError::Empty`] where there is no task, and so nothing to run.
    pub fn of(builder: &GraphBuilder) -> Result<Self, GraphError> {
        let mut tasks = records(&builder.tasks);
        let successors = sort_by_producer(&mut tasks, &builder.edges);
        cycle::refuse(&tasks, &successors, &builder.edges)?;
        let is_root = |(_, task): &(u32, &GraphTask)| task.predecessor_count == 0;
        let roots: Vec<u32> = (0..).zip(&tasks).filter(is_root).map(|(task, _)| task).collect();
        let structure = builder.structure();
        let counts = [tasks.len(), successors.len(), builder.args.len(), roots.len()];
        let header = GraphHeader::new(counts[0], counts[1], counts[2], counts[3]);
        // The builder keeps the other limits.
        let mut header = header.map_err(|_| GraphError::Empty)?;
        header.structure_prefix = structure.prefix();
        Ok(Self {
            structure,
            kinds: builder.tasks.clone(),
            edges: builder.edges.clone(),
            header,
            tasks,
            args: builder.args.clone(),
            successors,
            roots,
        })
    }

    /// Writes the image into `image`, whose former content is dropped: what
    /// [`GraphView::parse`](protocol::GraphView::parse) takes where it begins at a multiple of 8.
    ///
    /// `number` is that of the upload; no two images of a device have the same, and none has 0.
    pub fn write_image(&self, number: u64, image: &mut Vec<u8>) {
        let header = GraphHeader { number, ..self.header };
        image.clear();
        image.reserve(self.image_bytes());
        image.extend_from_slice(header.as_bytes());
        image.extend_from_slice(self.tasks.as_bytes());
        image.extend_from_slice(self.args.as_bytes());
        image.extend_from_slice(self.successors.as_bytes());
        image.extend_from_slice(self.roots.as_bytes());
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
    /// A patch is twice as long as a word: where more than a third of [`args`](Self::args) has changed,
    /// it is better to write all of them to their place in the image
    /// (`layout().args`).
    ///
    /// # Errors
    ///
    /// The difference where `builder` has another structure. Nothing changes.
    pub fn patches(
        &mut self,
        builder: &GraphBuilder,
        patches: &mut Vec<GraphPatch>,
    ) -> Result<usize, GraphDifference> {
        if let Some(difference) = self.first_difference(builder) {
            return Err(difference);
        }
        patches.clear();
        let mut first = 0;
        let new = builder.args.chunks(COMPARED_WORDS);
        for (known, new) in self.args.chunks_mut(COMPARED_WORDS).zip(new) {
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
        Ok(patches.len())
    }

    /// Under what its structure is looked for.
    #[must_use]
    pub const fn structure(&self) -> StructureHash {
        self.structure
    }

    /// Tasks, at least one.
    #[must_use]
    pub const fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Edges.
    #[must_use]
    pub const fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Tasks without predecessor, at least one.
    #[must_use]
    pub const fn root_count(&self) -> usize {
        self.roots.len()
    }

    /// The argument words of all tasks, those of task 0 first, as the image has them at
    /// `layout().args`.
    #[must_use]
    pub fn args(&self) -> &[u64] {
        &self.args
    }

    /// Where the parts of its image are, in bytes from its start.
    #[must_use]
    pub fn layout(&self) -> GraphLayout {
        self.header.layout()
    }

    /// Bytes of its image: 64, 16 for a task, 8 for an argument, 4 for an edge, 4 for a root.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.layout().roots.end
    }

    /// Bytes of host memory that it keeps.
    #[must_use]
    pub fn host_bytes(&self) -> usize {
        let image = self.image_bytes() - size_of::<GraphHeader>() + size_of::<Self>();
        image + size_of_val(&*self.kinds) + size_of_val(&*self.edges)
    }
}

/// The tasks as the image has them, without edges so far.
fn records(kinds: &[TaskKind]) -> Vec<GraphTask> {
    let mut first_arg = 0;
    let record = |kind: &TaskKind| {
        let task = GraphTask {
            first_arg,
            func_id: kind.func_id,
            arg_count: kind.arg_count,
            core_type: kind.core_type,
            ..GraphTask::default()
        };
        first_arg += u32::from(kind.arg_count);
        task
    };
    kinds.iter().map(record).collect()
}

/// Sorts the edges by the task from which they lead, by counting, and tells each task where its own
/// begin and how many lead to it.
fn sort_by_producer(tasks: &mut [GraphTask], edges: &[Edge]) -> Vec<u32> {
    for edge in edges {
        // CAST: (both, and below) at least 32 bits.
        tasks[edge.from as usize].first_successor += 1;
        tasks[edge.to as usize].predecessor_count += 1;
    }
    let mut end = 0;
    for task in tasks.iter_mut() {
        end += task.first_successor;
        task.first_successor = end;
    }
    // From the last edge to the first, each task's from its last place to its first, so that its place
    // counter ends at the first, and successors are in the order of the edges.
    let mut successors = vec![0; edges.len()];
    for edge in edges.iter().rev() {
        let place = &mut tasks[edge.from as usize].first_successor;
        *place -= 1;
        successors[*place as usize] = edge.to;
    }
    successors
}

#[cfg(test)]
mod tests;
