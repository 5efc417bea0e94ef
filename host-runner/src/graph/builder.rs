//! Tasks and edges as an orchestration adds them.

use protocol::graph::image::{GRAPH_EDGES_MAX, GRAPH_TASKS_MAX};
use protocol::{CoreType, FuncId, GRAPH_TASK_ARGS, MAX_FUNC_IDS};
use zerocopy::{Immutable, IntoBytes};

use super::GraphError;
use super::tensor_infos::TensorInfos;

/// The kernels that a callable has, by func id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelSet([u64; MAX_FUNC_IDS / 64]);

/// What a task is, apart from its arguments' values: part of the structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct TaskKind {
    pub(crate) func_id: u16,
    pub(crate) arg_count: u8,
    pub(crate) core_type: u8,
}

/// An edge: `to` waits for `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Edge {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// A graph that is being built. Its memory is kept from one graph to the next.
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    kernels: KernelSet,
    pub(crate) tasks: Vec<TaskKind>,
    pub(crate) args: Vec<u64>,
    /// In the order in which they were added; one that was added twice is there twice.
    pub(crate) edges: Vec<Edge>,
    pub(super) tensor_infos: TensorInfos,
    limits: Limits,
}

/// How many of each a graph has at most.
#[derive(Debug, Clone)]
struct Limits {
    tasks: usize,
    edges: usize,
    args: usize,
}

/// What an image has room for.
const LIMITS: Limits =
    Limits { tasks: GRAPH_TASKS_MAX, edges: GRAPH_EDGES_MAX, args: GRAPH_EDGES_MAX };

impl FromIterator<FuncId> for KernelSet {
    fn from_iter<I: IntoIterator<Item = FuncId>>(ids: I) -> Self {
        let mut set = Self([0; MAX_FUNC_IDS / 64]);
        for id in ids {
            set.0[id.index() / 64] |= 1 << (id.index() % 64);
        }
        set
    }
}

impl KernelSet {
    /// Whether the callable has a kernel of this func id.
    pub fn contains(&self, id: FuncId) -> bool {
        self.0[id.index() / 64] >> (id.index() % 64) & 1 == 1
    }
}

impl GraphBuilder {
    /// An empty graph of a callable with these kernels.
    #[must_use]
    pub fn new(kernels: KernelSet) -> Self {
        Self {
            kernels,
            tasks: Vec::new(),
            args: Vec::new(),
            edges: Vec::new(),
            tensor_infos: TensorInfos::default(),
            limits: LIMITS,
        }
    }

    /// Starts over.
    pub fn clear(&mut self) {
        self.tasks.clear();
        self.args.clear();
        self.edges.clear();
        self.tensor_infos.clear();
    }

    /// Tasks so far.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Edges so far.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Adds a task and returns its number: 0, 1, 2, …
    ///
    /// # Errors
    ///
    /// [`GraphError`]; the graph is as before.
    pub fn add_task(
        &mut self,
        args: &[u64],
        func_id: i32,
        core_type: i32,
    ) -> Result<u32, GraphError> {
        self.add_task_of(args.iter().copied(), func_id, core_type)
    }

    /// [`add_task`](Self::add_task), with arguments from wherever they are to where they stay.
    #[inline]
    pub(crate) fn add_task_of(
        &mut self,
        args: impl ExactSizeIterator<Item = u64>,
        func_id: i32,
        core_type: i32,
    ) -> Result<u32, GraphError> {
        let full = |what, limit| GraphError::Full { what, limit };
        // CAST: at most `GRAPH_TASKS_MAX`.
        let task = self.tasks.len() as u32;
        if self.tasks.len() >= self.limits.tasks {
            return Err(full("task", self.limits.tasks));
        }
        if args.len() > GRAPH_TASK_ARGS {
            let (have, limit) = (args.len() as i64, GRAPH_TASK_ARGS);
            return Err(GraphError::ArgumentCount { task, have, limit });
        }
        if self.args.len() + args.len() > self.limits.args {
            return Err(full("argument", self.limits.args));
        }
        let kernel = FuncId::new(func_id.into()).ok().filter(|id| self.kernels.contains(*id));
        let kernel = kernel.ok_or(GraphError::UnknownKernel { task, func_id })?;
        let core = CoreType::try_from(core_type)
            .map_err(|_| GraphError::UnknownCoreType { task, value: core_type })?;
        // CAST: (all) at most 16, below 1024, 0 or 1.
        let arg_count = args.len() as u8;
        self.args.extend(args);
        self.tasks.push(TaskKind {
            func_id: kernel.index() as u16,
            arg_count,
            core_type: core as u8,
        });
        Ok(task)
    }

    /// Has `to` wait for `from`. An edge that is added twice counts twice, which changes nothing.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownTask`] and [`GraphError::Full`]; the graph is as before.
    pub fn add_successor(&mut self, from: i32, to: i32) -> Result<(), GraphError> {
        let tasks = self.tasks.len();
        let known = |id: i32| u32::try_from(id).ok().filter(|id| (*id as usize) < tasks);
        let (Some(producer), Some(consumer)) = (known(from), known(to)) else {
            return Err(GraphError::UnknownTask { from, to, tasks });
        };
        if self.edges.len() >= self.limits.edges {
            return Err(GraphError::Full { what: "edge", limit: self.limits.edges });
        }
        self.edges.push(Edge { from: producer, to: consumer });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
