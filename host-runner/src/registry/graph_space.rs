//! What the runs of a callable with its orchestration on the host work with: memory on the device, and
//! the graphs that the device keeps.
//!
//! ```text
//!  built graph ── structure known ──▶ changed words ──▶ patches, or the image anew ─────┐
//!            └── new ──▶ checked ──▶ image, in place of the one used least recently ─────┴▶ GraphRun
//! ```
//!
//! Each upload is one copy. The device keeps several graphs of a callable, as an orchestration that
//! builds one for each of a few batch sizes would otherwise upload every time.
//!
//! What is kept is given up for a new graph of the same callable where the device has no other room, and
//! goes with the callable. It is not given up for what an orchestration allocates, nor for other callables:
//! who needs that memory unregisters.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::graph::WorkspaceLayout;
use protocol::{CallableId, GraphPatch, GraphRun};
use zerocopy::IntoBytes as _;

use super::open_device::OpenDevice;
use crate::device::{Holder, MemoryError};
use crate::graph::{GraphBuilder, GraphError, KernelSet, KnownGraph, Recycled};
use crate::host_orchestration::RunMemory;

mod device_buffer;

use device_buffer::DeviceBuffer;

/// Bytes of the smallest piece of memory for patches: runs differ in how many words change.
const PATCH_BYTES_MIN: usize = 1024;

/// Graphs of a callable that the device keeps.
const GRAPHS_KEPT: usize = 4;

/// Bytes that the graphs which are kept may have together; one alone may have more.
const BYTES_KEPT: usize = 256 << 20;

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

/// A graph that the device knows.
#[derive(Debug)]
pub(crate) struct Uploaded {
    /// How to run it.
    pub(crate) run: GraphRun,
    /// What it took.
    pub(crate) report: GraphReport,
    /// Which state of which graph it is; not 0.
    pub(crate) version: u64,
}

/// Why a graph cannot be brought to the device.
#[derive(Debug)]
pub(crate) enum GraphRefusal {
    /// The graph is wrong.
    Graph(GraphError),
    /// The device has no room for what the graph needs.
    NoRoom {
        /// Bytes of its image, and of what the AICPU counts in.
        bytes: usize,
    },
    /// The device is gone, or fails.
    Memory(MemoryError),
}

/// What the runs of one callable work with.
#[derive(Debug)]
pub(crate) struct GraphSpace {
    /// Which one; no other of this process has it.
    pub(crate) number: u64,
    /// The graph that is being built; its memory is kept.
    pub(crate) builder: GraphBuilder,
    /// Memory that the orchestration allocates.
    pub(crate) memory: RunMemory,
    /// What the device has.
    pub(crate) graphs: KeptGraphs,
}

/// The graphs of one callable that the device has.
#[derive(Debug)]
pub(crate) struct KeptGraphs {
    id: CallableId,
    kept: Vec<KeptGraph>,
    /// Most bytes of them, if there is more than one.
    bytes_max: usize,
    /// Counts the uses of graphs.
    uses: u64,
    patches: Vec<GraphPatch>,
    patch_buffer: DeviceBuffer,
    /// Host memory of the graph that was given up last.
    recycled: Recycled,
}

/// A graph that the device has.
#[derive(Debug)]
struct KeptGraph {
    known: KnownGraph,
    number: u64,
    /// Another one whenever argument words change; no other state of any graph has it.
    version: u64,
    image: DeviceBuffer,
    workspace: DeviceBuffer,
    last_used: u64,
}

impl GraphSpace {
    /// For a callable with these kernels; nothing is on the device yet.
    pub(super) fn new(id: CallableId, kernels: KernelSet) -> Self {
        let (kept, patches, patch_buffer, recycled) = Default::default();
        let bytes_max = BYTES_KEPT;
        let graphs = KeptGraphs { id, kept, bytes_max, uses: 0, patches, patch_buffer, recycled };
        let (builder, memory) = (GraphBuilder::new(kernels), RunMemory::new(id));
        Self { number: next_number(), builder, memory, graphs }
    }

    /// Nobody before it counts: others may have had the id.
    pub(super) fn begin_accounts(&self, on: &OpenDevice) {
        for holder in [Holder::Tensors(self.graphs.id), Holder::Graphs(self.graphs.id)] {
            on.device().restart_high_water(holder);
        }
    }

    /// Frees everything on the device.
    pub(super) fn give_back(&mut self, on: &OpenDevice) {
        self.graphs.give_back(on);
        if let Err(error) = self.memory.give_back(on.device()) {
            tracing::error!(%error, "memory of runs is not known to the device");
        }
    }
}

impl KeptGraphs {
    /// Makes the device know a graph, which has a task at least. `version` is what the last upload of
    /// the same graph has given, or 0: where the device still has that, nothing is compared.
    ///
    /// For a new graph the device needs memory. Where it has none left, what helps it out are the other
    /// graphs, and those chunks of `spare` that the run does not use.
    ///
    /// # Errors
    ///
    /// [`GraphRefusal`]. Where the device has failed, it does not know the graph any more, nor others that
    /// have made room for it; a graph that is wrong changes nothing.
    pub(crate) fn upload(
        &mut self,
        on: &OpenDevice,
        graph: &GraphBuilder,
        version: u64,
        spare: Option<&mut RunMemory>,
    ) -> Result<Uploaded, GraphRefusal> {
        self.uses += 1;
        let unchanged = self.kept.iter().position(|kept| kept.version == version);
        let same = |kept: &KeptGraph| kept.known.has_structure_of(graph);
        let (index, bytes, patches, is_replay) = if let Some(index) = unchanged {
            (index, 0, 0, true)
        } else if let Some(index) = self.kept.iter().position(same) {
            let (bytes, patches) = self.renew(on, index, graph).map_err(GraphRefusal::Memory)?;
            (index, bytes, patches, true)
        } else {
            let index = self.add(on, graph, spare)?;
            (index, self.kept[index].known.image_bytes(), 0, false)
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
            tasks: graph.task_count() as u64,
            edges: graph.edge_count() as u64,
            bytes_uploaded: bytes as u64,
            is_replay,
        };
        Ok(Uploaded { run, report, version: kept.version })
    }

    /// Brings the argument words of a known graph up to date; how many bytes were copied, and how many
    /// patches the run has to apply.
    fn renew(
        &mut self,
        on: &OpenDevice,
        index: usize,
        graph: &GraphBuilder,
    ) -> Result<(usize, usize), MemoryError> {
        let kept = &mut self.kept[index];
        if kept.known.renew(graph, &mut self.patches) > 0 {
            kept.version = next_number();
        }
        let copied = match self.patches.as_bytes().len() {
            0 => Ok((0, 0)),
            bytes if bytes < kept.known.image_bytes() => match self.upload_patches(on) {
                // The image needs no more memory than it has.
                Err(MemoryError::Exhausted { .. }) => self.upload_words(on, index),
                uploaded => uploaded,
            },
            _ => self.upload_words(on, index),
        };
        // The device does not have what is known here.
        if copied.is_err() {
            self.forget(on, index);
        }
        copied
    }

    /// Uploads changed words, to be applied by the run.
    fn upload_patches(&mut self, on: &OpenDevice) -> Result<(usize, usize), MemoryError> {
        let (bytes, holder) = (self.patches.as_bytes(), Holder::Graphs(self.id));
        let room = bytes.len().next_power_of_two().max(PATCH_BYTES_MIN);
        self.patch_buffer.fit(on, holder, room)?;
        self.patch_buffer.fill(on, holder, bytes)?;
        Ok((bytes.len(), self.patches.len()))
    }

    /// Uploads the image of a known graph anew, in its place.
    fn upload_words(
        &mut self,
        on: &OpenDevice,
        index: usize,
    ) -> Result<(usize, usize), MemoryError> {
        let kept = &mut self.kept[index];
        kept.number = next_number();
        let image = kept.known.image(kept.number);
        kept.image.fill(on, Holder::Graphs(self.id), image)?;
        Ok((image.len(), 0))
    }

    /// Uploads a graph whose structure is not known; where it is in the list. Others are given up where
    /// there are enough, and where the device has no room otherwise; the new one takes the memory of the
    /// first that is.
    fn add(
        &mut self,
        on: &OpenDevice,
        graph: &GraphBuilder,
        mut spare: Option<&mut RunMemory>,
    ) -> Result<usize, GraphRefusal> {
        let known = KnownGraph::of_in(graph, &mut self.recycled).map_err(GraphRefusal::Graph)?;
        let bytes = known.image_bytes() + workspace_bytes(&known);
        let mut new = KeptGraph {
            known,
            number: next_number(),
            version: next_number(),
            image: DeviceBuffer::default(),
            workspace: DeviceBuffer::default(),
            last_used: 0,
        };
        let held = |kept: &[KeptGraph]| kept.iter().map(KeptGraph::bytes).sum::<usize>();
        while self.kept.len() >= GRAPHS_KEPT || held(&self.kept) + bytes > self.bytes_max {
            let Some(oldest) = self.oldest() else { break };
            let old = self.kept.swap_remove(oldest);
            self.reuse(on, old, &mut new);
        }
        let holder = Holder::Graphs(self.id);
        while let Err(error) = new.place(on, holder) {
            new.give_back(on);
            match error {
                MemoryError::Exhausted { .. } if self.forget_oldest(on) => {}
                MemoryError::Exhausted { .. } => match spare.take() {
                    Some(memory) => {
                        memory.give_back_closed(on.device()).map_err(GraphRefusal::Memory)?;
                    }
                    None => return Err(GraphRefusal::NoRoom { bytes }),
                },
                error => return Err(GraphRefusal::Memory(error)),
            }
        }
        self.kept.push(new);
        Ok(self.kept.len() - 1)
    }

    /// Gives a graph up whose memory a new one may take.
    fn reuse(&mut self, on: &OpenDevice, mut old: KeptGraph, new: &mut KeptGraph) {
        for (new, old, need) in [
            (&mut new.image, &mut old.image, new.known.image_bytes()),
            (&mut new.workspace, &mut old.workspace, workspace_bytes(&new.known)),
        ] {
            // Not what is much too large: a small graph would keep it for long.
            let fits = (need..=need.saturating_mul(2)).contains(&old.capacity());
            if new.address().is_null() && fits {
                std::mem::swap(new, old);
            }
        }
        old.give_back(on);
        self.recycled.take(old.known);
    }

    fn oldest(&self) -> Option<usize> {
        (0..self.kept.len()).min_by_key(|index| self.kept[*index].last_used)
    }

    /// Forgets the graph that was used least recently, if there is one.
    fn forget_oldest(&mut self, on: &OpenDevice) -> bool {
        self.oldest().inspect(|index| self.forget(on, *index)).is_some()
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

    /// Frees all of them.
    fn give_back(&mut self, on: &OpenDevice) {
        for mut kept in self.kept.drain(..) {
            kept.give_back(on);
        }
        self.patch_buffer.give_back(on);
        self.recycled = Recycled::default();
    }
}

impl KeptGraph {
    /// Bytes that it has on the device.
    fn bytes(&self) -> usize {
        self.image.capacity() + self.workspace.capacity()
    }

    /// Puts it on the device.
    fn place(&mut self, on: &OpenDevice, holder: Holder) -> Result<(), MemoryError> {
        self.image.fill(on, holder, self.known.image(self.number))?;
        self.workspace.fit(on, holder, workspace_bytes(&self.known))
    }

    fn give_back(&mut self, on: &OpenDevice) {
        self.image.give_back(on);
        self.workspace.give_back(on);
    }
}

/// Bytes that the AICPU needs to count in for a graph.
fn workspace_bytes(known: &KnownGraph) -> usize {
    // CAST: (both) a graph has at most 2^24 tasks; usize is 64 bits on the supported targets.
    WorkspaceLayout::of(known.task_count() as u32).total as usize
}

/// A number that no other image, version or space of this process has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed: only the number matters. From 1: 0 is no image.
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests;
