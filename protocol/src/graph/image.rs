//! The image of a graph: header, tasks, argument words, successors, roots.
//!
//! ```text
//! 0                GraphHeader
//! 64               GraphTask × tasks
//! …                u64 × argument words, those of task 0 first
//! …                u32 × edges: the successors of task 0, then those of task 1, …
//! …                u32 × roots: the tasks without predecessor, ascending
//! ```
//!
//! 16 bytes for a task, 8 for an argument, 4 for an edge, 4 for a root. A task's arguments and
//! successors end where those of the next task begin.

use crate::handshake::CoreType;
use crate::ids::FuncId;
use crate::layout::check_layout;
use crate::wire::{self, WireError};
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Arguments of one task (spec hbg A2, `RUNTIME_MAX_ARGS`).
pub const GRAPH_TASK_ARGS: usize = 16;

/// Most tasks of a graph: a task's number is positive as an `i32`, and fits the scheduler's handles.
pub const GRAPH_TASKS_MAX: usize = 1 << 24;

/// Most edges of a graph, and most argument words.
pub const GRAPH_EDGES_MAX: usize = 1 << 28;

/// "SRXG" in memory order.
const MAGIC: u32 = u32::from_le_bytes(*b"SRXG");

/// Version of the image that this crate writes and accepts.
const VERSION: u16 = 1;

/// The start of an image. Written by the host.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct GraphHeader {
    /// Set by [`new`](Self::new).
    pub magic: u32,
    /// Set by [`new`](Self::new).
    pub version: u16,
    /// Written as zero.
    pub reserved0: u16,
    /// Tasks, at least one.
    pub task_count: u32,
    /// Edges.
    pub edge_count: u32,
    /// Argument words of all tasks.
    pub arg_count: u32,
    /// Tasks without predecessor.
    pub root_count: u32,
    /// Number of the upload: no two images of a device have the same; never 0.
    pub number: u64,
    /// First 8 bytes of the hash of the structure, as they are written; for messages only.
    pub structure_prefix: u64,
    /// Bytes of the whole image.
    pub total_bytes: u64,
    /// Written as zero.
    pub reserved1: [u64; 2],
}

check_layout!(GraphHeader, size 64, align 8 {
    magic @ 0, version @ 4, reserved0 @ 6, task_count @ 8, edge_count @ 12, arg_count @ 16,
    root_count @ 20, number @ 24, structure_prefix @ 32, total_bytes @ 40, reserved1 @ 48,
});

/// One task of an image. Written by the host, read-only on the device.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct GraphTask {
    /// Index of its first argument word.
    pub first_arg: u32,
    /// Index of its first successor.
    pub first_successor: u32,
    /// Edges that lead to it.
    pub predecessor_count: u32,
    /// The kernel.
    pub func_id: u16,
    /// Its arguments, at most [`GRAPH_TASK_ARGS`].
    pub arg_count: u8,
    /// Number of a [`CoreType`].
    pub core_type: u8,
}

check_layout!(GraphTask, size 16, align 4 {
    first_arg @ 0, first_successor @ 4, predecessor_count @ 8, func_id @ 12, arg_count @ 14,
    core_type @ 15,
});

/// Where the parts of an image are, in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLayout {
    /// The tasks.
    pub tasks: Range<usize>,
    /// The argument words.
    pub args: Range<usize>,
    /// The successors.
    pub successors: Range<usize>,
    /// The roots.
    pub roots: Range<usize>,
}

/// A checked image: indices lead to what is there, counts agree with each other, and each kernel is
/// one that a callable can have. Cycles are not looked for: the host has done that.
#[derive(Clone, Copy, Debug)]
pub struct GraphView<'a> {
    /// The header.
    pub header: &'a GraphHeader,
    /// The tasks; never empty.
    pub tasks: &'a [GraphTask],
    /// The argument words.
    pub args: &'a [u64],
    /// The successors of all tasks.
    pub successors: &'a [u32],
    /// The tasks without predecessor, ascending.
    pub roots: &'a [u32],
}

impl GraphHeader {
    /// The header of an image with these numbers of parts; the number of the upload and the prefix of
    /// the hash are still to be set.
    ///
    /// # Errors
    ///
    /// [`WireError`] where a number is beyond its limit, or there is no task.
    pub fn new(tasks: usize, edges: usize, args: usize, roots: usize) -> Result<Self, WireError> {
        let count = |what, value: usize, limit| match u32::try_from(value) {
            Ok(value32) if value <= limit => Ok(value32),
            _ => {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                Err(WireError::CountOutOfRange { what, value, limit })
            }
        };
        let mut header = Self {
            magic: MAGIC,
            version: VERSION,
            task_count: count("graph tasks", tasks, GRAPH_TASKS_MAX)?,
            edge_count: count("graph edges", edges, GRAPH_EDGES_MAX)?,
            arg_count: count("graph arguments", args, GRAPH_EDGES_MAX)?,
            root_count: count("graph roots", roots, tasks)?,
            ..Self::default()
        };
        if tasks == 0 {
            return Err(WireError::Empty { what: "a graph" });
        }
        header.total_bytes = header.layout().roots.end as u64;
        Ok(header)
    }

    /// Where the parts are. The counts are within their limits, so that no sum overflows.
    pub fn layout(&self) -> GraphLayout {
        // CAST: (all) at least 32 bits.
        let part = |start: usize, count: u32, size: usize| {
            start..start.saturating_add((count as usize).saturating_mul(size))
        };
        let tasks = part(size_of::<Self>(), self.task_count, size_of::<GraphTask>());
        let args = part(tasks.end, self.arg_count, size_of::<u64>());
        let successors = part(args.end, self.edge_count, size_of::<u32>());
        let roots = part(successors.end, self.root_count, size_of::<u32>());
        GraphLayout { tasks, args, successors, roots }
    }
}

impl GraphTask {
    /// The kind of core that it runs on.
    ///
    /// # Errors
    ///
    /// The number, where it is none.
    pub fn core_type(&self) -> Result<CoreType, WireError> {
        Ok(CoreType::try_from(i32::from(self.core_type))?)
    }
}

impl<'a> GraphView<'a> {
    /// Checks an image, which begins at a multiple of 8 bytes and fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`WireError`] with the part that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let view = Self::of_known(bytes)?;
        view.check_tasks()?;
        view.check_edges()?;
        Ok(view)
    }

    /// Looks again at an image that [`parse`](Self::parse) has accepted before: at its header and its
    /// size, and at nothing else. Takes the same time for every graph.
    ///
    /// # Errors
    ///
    /// As of [`parse`](Self::parse), for what is looked at.
    pub fn of_known(bytes: &'a [u8]) -> Result<Self, WireError> {
        let have = bytes.len();
        let header_bytes = size_of::<GraphHeader>();
        let truncated = |need| WireError::Truncated { what: "graph image", need, have };
        let header = bytes.get(..header_bytes).ok_or_else(|| truncated(header_bytes))?;
        let offset = bytes.as_ptr().addr() % align_of::<GraphHeader>();
        let misaligned =
            WireError::Misaligned { what: "graph image", offset, align: align_of::<GraphHeader>() };
        let header = GraphHeader::ref_from_bytes(header).map_err(|_| misaligned)?;
        header.check()?;
        let layout = header.layout();
        if have < layout.roots.end {
            return Err(truncated(layout.roots.end));
        }
        if have > layout.roots.end || header.total_bytes != have as u64 {
            return Err(WireError::TrailingBytes { used: layout.roots.end, have });
        }
        let part = |range: Range<usize>| bytes.get(range).unwrap_or_default();
        Ok(Self {
            header,
            // The parts follow each other at multiples of their alignment, so nothing is refused.
            tasks: <[GraphTask]>::ref_from_bytes(part(layout.tasks)).map_err(|_| misaligned)?,
            args: <[u64]>::ref_from_bytes(part(layout.args)).map_err(|_| misaligned)?,
            successors: <[u32]>::ref_from_bytes(part(layout.successors)).map_err(|_| misaligned)?,
            roots: <[u32]>::ref_from_bytes(part(layout.roots)).map_err(|_| misaligned)?,
        })
    }

    /// The argument words of a task, none beyond the last one.
    pub fn args_of(&self, task: usize) -> &'a [u64] {
        let Some(record) = self.tasks.get(task) else { return &[] };
        let first = wire::widen(record.first_arg);
        self.args.get(first..first + usize::from(record.arg_count)).unwrap_or_default()
    }

    /// The successors of a task, none beyond the last one.
    pub fn successors_of(&self, task: usize) -> &'a [u32] {
        let Some(record) = self.tasks.get(task) else { return &[] };
        let next = self.tasks.get(task + 1).map(|next| wire::widen(next.first_successor));
        let end = next.unwrap_or(self.successors.len());
        self.successors.get(wire::widen(record.first_successor)..end).unwrap_or_default()
    }

    /// Checks that arguments and successors of the tasks follow each other, and what runs where.
    fn check_tasks(&self) -> Result<(), WireError> {
        let damaged = |what, offset: u32, limit| WireError::OffsetOutOfRange {
            what,
            offset: wire::widen(offset),
            bytes: 0,
            limit,
        };
        let (mut args, mut successors) = (0, 0);
        for task in self.tasks {
            if wire::widen(task.first_arg) != args {
                return Err(damaged("arguments of a graph task", task.first_arg, args));
            }
            let count = usize::from(task.arg_count);
            if count > GRAPH_TASK_ARGS {
                return Err(WireError::CountOutOfRange {
                    what: "arguments of a graph task",
                    value: i64::from(task.arg_count),
                    limit: GRAPH_TASK_ARGS,
                });
            }
            args += count;
            let first = wire::widen(task.first_successor);
            if first < successors || first > self.successors.len() {
                let what = "successors of a graph task";
                return Err(damaged(what, task.first_successor, self.successors.len()));
            }
            successors = first;
            task.core_type()?;
            FuncId::new(i64::from(task.func_id)).map_err(WireError::IdOutOfRange)?;
        }
        let first = self.tasks.first().map_or(0, |task| task.first_successor);
        if first != 0 {
            return Err(damaged("successors of a graph task", first, 0));
        }
        if args != self.args.len() {
            return Err(WireError::TrailingBytes { used: args, have: self.args.len() });
        }
        Ok(())
    }

    /// Checks that edges and roots name tasks, and that there are as many roots as there should be.
    /// That a task's predecessors are counted right is the reader's to check, who has room to count.
    fn check_edges(&self) -> Result<(), WireError> {
        let limit = self.tasks.len() - 1;
        let mut edges = 0_u64;
        for task in self.tasks {
            edges += u64::from(task.predecessor_count);
        }
        if edges != self.successors.len() as u64 {
            let value = i64::try_from(edges).unwrap_or(i64::MAX);
            let limit = self.successors.len();
            return Err(WireError::CountOutOfRange { what: "graph predecessors", value, limit });
        }
        for successor in self.successors {
            if wire::widen(*successor) > limit {
                let value = i64::from(*successor);
                return Err(WireError::CountOutOfRange { what: "a successor", value, limit });
            }
        }
        let mut roots = self.roots.iter();
        for (index, task) in self.tasks.iter().enumerate() {
            let is_root = task.predecessor_count == 0;
            if is_root && roots.next().map(|root| wire::widen(*root)) != Some(index) {
                return Err(WireError::Empty { what: "a place among the roots of a graph" });
            }
        }
        match roots.next() {
            Some(root) => {
                Err(WireError::CountOutOfRange { what: "a root", value: i64::from(*root), limit })
            }
            None => Ok(()),
        }
    }
}

impl GraphHeader {
    fn check(&self) -> Result<(), WireError> {
        let unknown = |what, value: i64| {
            Err(WireError::UnknownValue(crate::wire_enum::UnknownValue { what, value }))
        };
        if self.magic != MAGIC {
            return unknown("graph magic", i64::from(self.magic));
        }
        if self.version != VERSION {
            return unknown("graph version", i64::from(self.version));
        }
        let wide = wire::widen;
        let (tasks, edges) = (wide(self.task_count), wide(self.edge_count));
        let (args, roots) = (wide(self.arg_count), wide(self.root_count));
        Self::new(tasks, edges, args, roots).map(drop)
    }
}

#[cfg(test)]
mod tests;
