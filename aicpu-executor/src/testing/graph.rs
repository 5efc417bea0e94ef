//! Graphs for tests: what a task computes is known without running it.
//!
//! Task `t` adds a number of its own, and one for its kernel, to what its predecessors have computed,
//! and counts how often it ran. What it reads is poisoned before a run, so that a task which runs too
//! early computes something else.

use core::sync::atomic::{AtomicU64, Ordering};
use std::vec::Vec;

use protocol::{
    CoreType, DeviceAddr, GRAPH_TASK_ARGS, GraphHeader, GraphPatch, GraphRun, GraphTask,
    WorkspaceLayout,
};
use zerocopy::IntoBytes;

use super::Kernel;

/// Arguments before the predecessors' outputs: own output, own number, how many inputs.
const FIXED_ARGS: usize = 3;

/// What the kernel of func_id 0 adds, which is for cube cores, and that of func_id 1, for vector ones.
const ADDED: [u64; 2] = [1_000_000, 2_000_000];

/// The kernels, by func_id.
pub(crate) const KERNELS: [Kernel; 3] = [add_on_cube, add_on_vector, super::device::endless];

/// What a task leaves: the sum, and how often it ran.
#[derive(Debug, Default)]
pub(crate) struct Output([AtomicU64; 2]);

fn output_at(address: u64) -> &'static Output {
    // SAFETY: arguments of these kernels are outputs that outlive the run.
    unsafe { &*core::ptr::with_exposed_provenance::<Output>(address as usize) }
}

fn add(args: *const u64, added: u64) {
    // SAFETY: a kernel gets at least this many words.
    let args = unsafe { core::slice::from_raw_parts(args, GRAPH_TASK_ARGS) };
    let inputs = &args[FIXED_ARGS..FIXED_ARGS + args[2] as usize];
    let read = |input: &u64| output_at(*input).0[0].load(Ordering::Relaxed);
    let sum = inputs.iter().map(read).fold(args[1].wrapping_add(added), u64::wrapping_add);
    let output = output_at(args[0]);
    output.0[0].store(sum, Ordering::Relaxed);
    output.0[1].fetch_add(1, Ordering::Relaxed);
}

extern "C" fn add_on_cube(args: *const u64) {
    add(args, ADDED[0]);
}

extern "C" fn add_on_vector(args: *const u64) {
    add(args, ADDED[1]);
}

/// A cache line of device memory.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

/// Device memory.
pub(crate) struct Memory(Vec<Line>);

impl Memory {
    /// So many bytes, all zero.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(std::vec![Line([0; 64]); (bytes as usize).div_ceil(64)])
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut memory = Self::new(bytes.len() as u64);
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        memory
    }

    pub(crate) fn address(&mut self) -> DeviceAddr {
        DeviceAddr::new(self.0.as_mut_ptr().expose_provenance() as u64)
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: lines are bytes, one after the other.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 64) }
    }
}

/// A graph, task by task.
pub(crate) struct TestGraph {
    /// func_id of each task: 0 on a cube core, all others on vector cores.
    pub(crate) func_ids: Vec<u16>,
    pub(crate) edges: Vec<(u32, u32)>,
    /// The tasks' own numbers.
    pub(crate) numbers: Vec<u64>,
    pub(crate) outputs: Vec<Output>,
}

impl TestGraph {
    /// Tasks of alternating kinds.
    pub(crate) fn new(tasks: usize, edges: &[(u32, u32)]) -> Self {
        Self {
            func_ids: (0..tasks).map(|task| (task % 2) as u16).collect(),
            edges: edges.to_vec(),
            numbers: (0..tasks as u64).map(|task| task * task + 1).collect(),
            outputs: (0..tasks).map(|_| Output::default()).collect(),
        }
    }

    pub(crate) fn tasks(&self) -> usize {
        self.func_ids.len()
    }

    fn predecessors(&self, task: usize) -> impl Iterator<Item = usize> + '_ {
        let to_it = self.edges.iter().filter(move |(_, to)| *to as usize == task);
        to_it.map(|(from, _)| *from as usize)
    }

    /// The predecessors whose outputs a task reads: as many as it has arguments for.
    fn inputs(&self, task: usize) -> Vec<usize> {
        self.predecessors(task).take(GRAPH_TASK_ARGS - FIXED_ARGS).collect()
    }

    fn address(&self, task: usize) -> u64 {
        core::ptr::from_ref(&self.outputs[task]).expose_provenance() as u64
    }

    fn args(&self, task: usize) -> Vec<u64> {
        let inputs = self.inputs(task);
        let mut args = std::vec![self.address(task), self.numbers[task], inputs.len() as u64];
        args.extend(inputs.iter().map(|input| self.address(*input)));
        args
    }

    /// The patch that says what a task's own number is now.
    pub(crate) fn patch_of(&self, task: usize) -> GraphPatch {
        let before: usize = (0..task).map(|task| self.args(task).len()).sum();
        GraphPatch { word: before as u32 + 1, reserved: 0, value: self.numbers[task] }
    }

    /// The image, as the host writes it.
    pub(crate) fn image(&self, number: u64) -> Vec<u8> {
        let count = |task| self.predecessors(task).count() as u32;
        let roots: Vec<u32> =
            (0..self.tasks() as u32).filter(|task| count(*task as usize) == 0).collect();
        let (mut args, mut successors): (Vec<u64>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut tasks = Vec::new();
        for (task, func_id) in self.func_ids.iter().enumerate() {
            let own = self.args(task);
            let core_type = if *func_id == 0 { CoreType::Aic } else { CoreType::Aiv };
            tasks.push(GraphTask {
                first_arg: args.len() as u32,
                first_successor: successors.len() as u32,
                predecessor_count: count(task),
                func_id: *func_id,
                arg_count: own.len() as u8,
                core_type: core_type.raw() as u8,
            });
            args.extend(own);
            let from_it = self.edges.iter().filter(|(from, _)| *from as usize == task);
            successors.extend(from_it.map(|(_, to)| *to));
        }
        let header = GraphHeader::new(tasks.len(), successors.len(), args.len(), roots.len());
        let header = GraphHeader { number, ..header.expect("a graph within the limits") };
        [
            header.as_bytes(),
            tasks.as_bytes(),
            args.as_bytes(),
            successors.as_bytes(),
            roots.as_bytes(),
        ]
        .concat()
    }

    /// Makes outputs what no task would compute.
    pub(crate) fn poison(&self) {
        for output in &self.outputs {
            output.0[0].store(u64::MAX / 3, Ordering::Relaxed);
            output.0[1].store(0, Ordering::Relaxed);
        }
    }

    /// Checks that each task ran once, after what it reads.
    #[track_caller]
    pub(crate) fn assert_ran(&self) {
        let mut sums = std::vec![None; self.tasks()];
        // A task's sum is known once those of its inputs are: as many rounds as the graph is deep.
        while sums.contains(&None) {
            for task in 0..self.tasks() {
                let own = self.numbers[task].wrapping_add(ADDED[usize::from(self.func_ids[task])]);
                let inputs = self.inputs(task);
                let known: Option<Vec<u64>> = inputs.iter().map(|input| sums[*input]).collect();
                sums[task] = known.map(|inputs| inputs.into_iter().fold(own, u64::wrapping_add));
            }
        }
        for (task, (sum, output)) in sums.iter().zip(&self.outputs).enumerate() {
            let [computed, runs] = output.0.each_ref().map(|word| word.load(Ordering::Relaxed));
            assert_eq!((Some(computed), runs), (*sum, 1), "task {task}");
        }
    }

    /// How many tasks ran.
    pub(crate) fn ran(&self) -> u64 {
        self.outputs.iter().map(|output| output.0[1].load(Ordering::Relaxed)).sum()
    }
}

/// A graph in device memory, with its workspace.
pub(crate) struct Uploaded {
    pub(crate) image: Memory,
    pub(crate) workspace: Memory,
    pub(crate) run: GraphRun,
}

impl Uploaded {
    /// A graph under a number that no other image on the device has.
    pub(crate) fn new(graph: &TestGraph, number: u64) -> Self {
        let bytes = graph.image(number);
        let workspace_bytes = WorkspaceLayout::of(graph.tasks() as u32).total;
        let (mut image, mut workspace) = (Memory::of(&bytes), Memory::new(workspace_bytes));
        let run = GraphRun {
            image: image.address(),
            image_bytes: bytes.len() as u64,
            number,
            workspace: workspace.address(),
            workspace_bytes,
            ..GraphRun::default()
        };
        Self { image, workspace, run }
    }
}
