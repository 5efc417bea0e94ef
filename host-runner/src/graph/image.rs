//! Puts the image of a graph together, in the memory in which it stays.
//!
//! ```text
//!  edges ── count ──▶ predecessors of each task ──▶ records, roots
//!                 └─▶ successors of each task ── sort ──▶ successors
//! ```
//!
//! The counts are in lists of their own, as edges lead anywhere: 4 bytes for a task stay in a core's
//! cache where the 16 of its record would not.

use std::ops::Range;

use protocol::{GraphHeader, GraphLayout, GraphTask};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::builder::{Edge, TaskKind};
use super::{GraphBuilder, GraphError, StructureHash};

/// An image, at a multiple of 8 bytes.
#[derive(Debug)]
pub(super) struct Image {
    header: GraphHeader,
    /// The image, then zeros up to the next word.
    words: Vec<u64>,
}

/// What an image is put together with; its memory is kept from one graph to the next.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// How many edges lead from each task, and then where its successors are.
    places: Vec<u32>,
    /// How many edges lead to each task.
    pub(super) predecessors: Vec<u32>,
    roots: Vec<u32>,
}

/// The parts of an image that hold tasks and edges.
pub(super) struct Parts<'a> {
    pub(super) tasks: &'a [GraphTask],
    pub(super) successors: &'a [u32],
}

impl Image {
    /// The image of what `builder` has, with number 0, in the memory of `words`; and how many edges lead
    /// to each task.
    pub(super) fn of(
        builder: &GraphBuilder,
        structure: StructureHash,
        mut words: Vec<u64>,
        counts: &mut Counts,
    ) -> Result<Self, GraphError> {
        let GraphBuilder { tasks, args, edges, .. } = builder;
        let Counts { places, predecessors, roots } = counts;
        for counts in [&mut *places, &mut *predecessors] {
            counts.clear();
            counts.resize(tasks.len(), 0);
        }
        for edge in edges {
            // CAST: (both) at least 32 bits.
            places[edge.from as usize] += 1;
            predecessors[edge.to as usize] += 1;
        }
        let is_root = |(_, count): &(u32, &u32)| **count == 0;
        roots.clear();
        roots.extend((0..).zip(&*predecessors).filter(is_root).map(|(task, _)| task));
        let header = GraphHeader::new(tasks.len(), edges.len(), args.len(), roots.len());
        // The builder keeps the other limits.
        let mut header = header.map_err(|_| GraphError::Empty)?;
        header.structure_prefix = structure.prefix();
        let layout = header.layout();
        let length = layout.roots.end.div_ceil(size_of::<u64>());
        // Every part is written below; what is beyond them is zero.
        words.resize(length, 0);
        words[length - 1] = 0;
        sort(edges, places, part_mut(&mut words, layout.successors));
        write_records(part_mut(&mut words, layout.tasks), tasks, places, predecessors);
        part_mut(&mut words, layout.args).copy_from_slice(args);
        part_mut(&mut words, layout.roots).copy_from_slice(roots);
        let mut image = Self { header, words };
        image.set_number(0);
        Ok(image)
    }

    /// Says which upload it is.
    pub(super) fn set_number(&mut self, number: u64) {
        self.header.number = number;
        let header = self.header.as_bytes();
        self.words.as_mut_bytes()[..header.len()].copy_from_slice(header);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.words.as_bytes()[..self.layout().roots.end]
    }

    pub(super) fn layout(&self) -> GraphLayout {
        self.header.layout()
    }

    pub(super) const fn header(&self) -> &GraphHeader {
        &self.header
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        let GraphLayout { tasks, successors, .. } = self.layout();
        Parts { tasks: part(&self.words, tasks), successors: part(&self.words, successors) }
    }

    pub(super) fn args(&self) -> &[u64] {
        part(&self.words, self.layout().args)
    }

    pub(super) fn args_mut(&mut self) -> &mut [u64] {
        let args = self.layout().args;
        part_mut(&mut self.words, args)
    }

    /// Its memory, for the next one.
    pub(super) fn into_words(self) -> Vec<u64> {
        self.words
    }

    /// Bytes of host memory that it takes.
    pub(super) fn host_bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}

/// What is at `bytes` of an image. The parts follow each other at multiples of their alignment, so that
/// nothing is refused.
fn part<T: FromBytes + Immutable + KnownLayout>(words: &[u64], bytes: Range<usize>) -> &[T] {
    <[T]>::ref_from_bytes(&words.as_bytes()[bytes]).unwrap_or_default()
}

/// [`part`], to be written.
fn part_mut<T: FromBytes + IntoBytes + Immutable + KnownLayout>(
    words: &mut [u64],
    bytes: Range<usize>,
) -> &mut [T] {
    <[T]>::mut_from_bytes(&mut words.as_mut_bytes()[bytes]).unwrap_or_default()
}

/// Sorts the edges by the task from which they lead, by counting. `places` has how many lead from each
/// task, and then where the successors of each begin.
fn sort(edges: &[Edge], places: &mut [u32], successors: &mut [u32]) {
    let mut end = 0;
    for place in &mut *places {
        end += *place;
        *place = end;
    }
    // From the last edge to the first, and each task's from its last place to its first: so its place
    // ends at its first one, and its successors are in the order of the edges.
    for edge in edges.iter().rev() {
        // CAST: (both) at least 32 bits.
        let place = &mut places[edge.from as usize];
        *place -= 1;
        successors[*place as usize] = edge.to;
    }
}

/// Writes the record of each task.
fn write_records(
    records: &mut [GraphTask],
    kinds: &[TaskKind],
    places: &[u32],
    predecessors: &[u32],
) {
    let mut first_arg = 0;
    for (((record, kind), first_successor), predecessor_count) in
        records.iter_mut().zip(kinds).zip(places).zip(predecessors)
    {
        *record = GraphTask {
            first_arg,
            first_successor: *first_successor,
            predecessor_count: *predecessor_count,
            func_id: kind.func_id,
            arg_count: kind.arg_count,
            core_type: kind.core_type,
        };
        first_arg += u32::from(kind.arg_count);
    }
}
