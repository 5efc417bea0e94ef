//! What the runs of a callable with its orchestration on the host work with: memory on the device, and
//! the graphs that the device keeps.
//!
//! ```text
//!  built graph ── structure known ──▶ changed words ──▶ patches, or all argument words ─┐
//!            └── new ──▶ checked ──▶ image, in place of the one used least recently ─────┴▶ GraphRun
//! ```
//!
//! Each upload is one copy. The device keeps several graphs of a callable, as an orchestration that
//! builds one for each of a few batch sizes would otherwise upload every time.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::graph::WorkspaceLayout;
use protocol::{CallableId, GraphPatch, GraphRun};
use zerocopy::IntoBytes as _;

use super::open_device::OpenDevice;
use crate::device::{Holder, MemoryError};
use crate::graph::{GraphBuilder, GraphError, KernelSet, KnownGraph};
use crate::host_orchestration::RunMemory;

mod device_buffer;

use device_buffer::DeviceBuffer;

/// Graphs of a callable that the device keeps.
const GRAPHS_KEPT: usize = 4;

/// Bytes that the graphs which are kept may have, beside the one that runs.
const BYTES_KEPT: usize = 256 << 20;

/// Where all argument words are uploaded and not patches: a patch has the size of two words.
const WORDS_PER_PATCH: usize = 2;

/// What a run of a graph was, beside its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GraphReport {
    /// Tasks of the graph.
    pub tasks: u64,
    /// Its edges.
    pub edges: u64,
    /// Bytes that were copied to the device so that it knows the graph: an image, changed argument words,
    /// or nothing. Not the data of tensors.
    pub bytes_uploaded: u64,
    /// Whether the device had a graph of this structure already.
    pub is_replay: bool,
}

/// Why a graph cannot be brought to the device.
#[derive(Debug)]
pub(crate) enum GraphRefusal {
    /// The graph is wrong.
    Graph(GraphError),
    /// The device has no room, or is gone.
    Memory(MemoryError),
}

/// What the runs of one callable work with.
#[derive(Debug)]
pub(crate) struct GraphSpace {
    id: CallableId,
    /// The graph that is being built; its memory is kept.
    pub(crate) builder: GraphBuilder,
    /// Memory that the orchestration allocates.
    pub(crate) memory: RunMemory,
    kept: Vec<KeptGraph>,
    /// Counts the uses of graphs.
    uses: u64,
    patches: Vec<GraphPatch>,
    patch_buffer: DeviceBuffer,
}

/// A graph that the device has.
#[derive(Debug)]
struct KeptGraph {
    known: KnownGraph,
    number: u64,
    image: DeviceBuffer,
    workspace: DeviceBuffer,
    last_used: u64,
}

impl GraphSpace {
    /// For a callable with these kernels; nothing is on the device yet.
    pub(super) fn new(id: CallableId, kernels: KernelSet) -> Self {
        Self {
            id,
            builder: GraphBuilder::new(kernels),
            memory: RunMemory::new(id),
            kept: Vec::new(),
            uses: 0,
            patches: Vec::new(),
            patch_buffer: DeviceBuffer::default(),
        }
    }

    /// Makes the device know the graph that was built, which has a task at least.
    ///
    /// # Errors
    ///
    /// [`GraphRefusal`]; the graphs that the device knows stay known.
    pub(crate) fn upload(
        &mut self,
        on: &OpenDevice,
    ) -> Result<(GraphRun, GraphReport), GraphRefusal> {
        self.uses += 1;
        let same = |kept: &KeptGraph| kept.known.has_structure_of(&self.builder);
        let (index, bytes, patches, is_replay) = match self.kept.iter().position(same) {
            Some(index) => {
                let (bytes, patches) = self.renew(on, index).map_err(GraphRefusal::Memory)?;
                (index, bytes, patches, true)
            }
            None => {
                let index = self.add(on)?;
                (index, self.kept[index].known.image_bytes(), 0, false)
            }
        };
        let kept = &mut self.kept[index];
        kept.last_used = self.uses;
        let run = GraphRun {
            image: kept.image.address(),
            // CAST: (all) usize is at most 64 bits.
            image_bytes: kept.known.image_bytes() as u64,
            number: kept.number,
            workspace: kept.workspace.address(),
            workspace_bytes: workspace_bytes(&kept.known) as u64,
            patches: if patches == 0 { Default::default() } else { self.patch_buffer.address() },
            patch_count: patches as u64,
        };
        let report = GraphReport {
            tasks: self.builder.task_count() as u64,
            edges: self.builder.edge_count() as u64,
            bytes_uploaded: bytes as u64,
            is_replay,
        };
        Ok((run, report))
    }

    /// Brings the argument words of a known graph up to date; how many bytes were copied, and how many
    /// patches the run has to apply.
    fn renew(&mut self, on: &OpenDevice, index: usize) -> Result<(usize, usize), MemoryError> {
        let kept = &mut self.kept[index];
        kept.known.renew(&self.builder, &mut self.patches);
        // Until the device has them, it does not have what is known here.
        let copied = if self.patches.len() * WORDS_PER_PATCH > self.builder.args.len() {
            let args = self.builder.args.as_bytes();
            let at = kept.known.layout().args.start;
            on.device().copy_in(kept.image.address_at(at), args).map(|()| (args.len(), 0))
        } else if self.patches.is_empty() {
            Ok((0, 0))
        } else {
            let bytes = self.patches.as_bytes();
            let count = self.patches.len();
            self.patch_buffer
                .fill(on, Holder::Graphs(self.id), bytes)
                .map(|()| (bytes.len(), count))
        };
        if copied.is_err() {
            self.forget(on, index);
        }
        copied
    }

    /// Uploads a graph whose structure is not known; where it is in the list.
    fn add(&mut self, on: &OpenDevice) -> Result<usize, GraphRefusal> {
        let known = KnownGraph::of(&self.builder).map_err(GraphRefusal::Graph)?;
        let number = next_number();
        let workspace_bytes = workspace_bytes(&known);
        self.make_room(on, known.image_bytes() + workspace_bytes);
        let holder = Holder::Graphs(self.id);
        let mut kept = KeptGraph {
            known,
            number,
            image: DeviceBuffer::default(),
            workspace: DeviceBuffer::default(),
            last_used: 0,
        };
        let placed = kept
            .image
            .fill(on, holder, kept.known.image(number))
            .and_then(|()| kept.workspace.fit(on, holder, workspace_bytes));
        if let Err(error) = placed {
            kept.give_back(on);
            return Err(GraphRefusal::Memory(error));
        }
        self.kept.push(kept);
        Ok(self.kept.len() - 1)
    }

    /// Forgets graphs, the one first that was used least recently, until there is room for one more.
    fn make_room(&mut self, on: &OpenDevice, bytes: usize) {
        let held = |kept: &[KeptGraph]| kept.iter().map(KeptGraph::bytes).sum::<usize>();
        while self.kept.len() >= GRAPHS_KEPT
            || (!self.kept.is_empty() && held(&self.kept) + bytes > BYTES_KEPT)
        {
            let oldest = (0..self.kept.len()).min_by_key(|index| self.kept[*index].last_used);
            self.forget(on, oldest.unwrap_or_default());
        }
    }

    /// Forgets the graph of a run that did not succeed: nobody knows in what state the device has left it.
    pub(crate) fn forget_number(&mut self, on: &OpenDevice, number: u64) {
        if let Some(index) = self.kept.iter().position(|kept| kept.number == number) {
            self.forget(on, index);
        }
    }

    fn forget(&mut self, on: &OpenDevice, index: usize) {
        self.kept.swap_remove(index).give_back(on);
    }

    /// Frees everything on the device.
    pub(super) fn give_back(&mut self, on: &OpenDevice) {
        for kept in self.kept.drain(..) {
            kept.give_back(on);
        }
        self.patch_buffer.give_back(on);
        if let Err(error) = self.memory.give_back(on.device()) {
            tracing::error!(%error, "memory of runs is not known to the device");
        }
    }
}

impl KeptGraph {
    /// Bytes that it has on the device.
    fn bytes(&self) -> usize {
        self.image.capacity() + self.workspace.capacity()
    }

    fn give_back(mut self, on: &OpenDevice) {
        self.image.give_back(on);
        self.workspace.give_back(on);
    }
}

/// Bytes that the AICPU needs to count in for a graph.
fn workspace_bytes(known: &KnownGraph) -> usize {
    // CAST: (both) a graph has at most 2^24 tasks; usize is 64 bits on the supported targets.
    WorkspaceLayout::of(known.task_count() as u32).total as usize
}

/// A number that no other image of this process has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only the number matters. From 1: 0 is no image.
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
