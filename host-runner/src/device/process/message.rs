//! What the two processes say to each other, but for runs: requests and answers as JSON.
//!
//! None of it is on the path of a run. Errors are said in kinds and numbers and made anew on the other side
//! (`refusal`), so that a caller sees the same types as of a device in its own process.

use std::time::Duration;

use aicpu_executor::loaded_code::LoadedRange;
use protocol::CallableId;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::device::{DeviceMemoryReport, DeviceUsage, Holder, HolderUsage, Interleaving};

/// What the host asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Make the device; the first request.
    Open(Settings),
    /// Allocate device memory.
    Allocate { bytes: usize, holder: WireHolder },
    /// Free it.
    Free { address: u64 },
    /// The most that a holder has had begins anew.
    RestartHighWater { holder: WireHolder },
    /// The host is about to write to an image.
    Touch { address: u64, bytes: usize },
    /// Give memory that the next request is about, in no books.
    Stage { bytes: usize },
    /// Whether an orchestration can be loaded, whose image was staged.
    Check { staged: Staged, entry: String },
    /// Load a kernel, whose record was staged.
    LoadKernel { staged: Staged },
    /// Unload it.
    UnloadKernel { record: u64 },
    /// Load an orchestration.
    LoadOrchestration(WireLoad),
    /// Unload it.
    UnloadOrchestration { id: i32, generation: u32 },
    /// What is loaded.
    LoadedCode,
    /// Where the exception of the last run came through.
    ThrowTrace,
    /// What is in use.
    Usage,
    /// Who has it.
    MemoryReport,
    /// What the last run went through.
    Interleaving,
    /// Give everything back and end.
    Close,
}

/// What the device is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// The seed of the interleaving.
    pub(super) interleaving_seed: Option<u64>,
    /// The limit for loading and unloading.
    pub(super) unload_limit: Duration,
    /// Processors that the threads of a run use.
    pub(super) cores_used: usize,
    /// Whether the program is run by an emulator.
    pub(super) is_emulated: bool,
}

/// Bytes in device memory that one request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Where, at the program.
    pub(super) address: u64,
    /// How many.
    pub(super) bytes: usize,
}

/// An [`OrchestrationLoad`](crate::device::OrchestrationLoad); symbols without the NUL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireLoad {
    pub(super) id: i32,
    pub(super) generation: u32,
    pub(super) address: u64,
    pub(super) bytes: u64,
    pub(super) entry_symbol: Vec<u8>,
    pub(super) config_symbol: Vec<u8>,
    pub(super) digest_prefix: u64,
}

/// What comes back.
pub(super) type Reply = Result<Answer, Refusal>;

/// What comes back where all is well.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    /// The device is there.
    Opened {
        /// Where its memory begins, at the program.
        memory: u64,
        clusters_max: u32,
        aicpu_threads_max: u32,
        callable_ids: usize,
    },
    Address(u64),
    Uploaded {
        address: u64,
        was_there: bool,
    },
    /// An orchestration was loaded, and is there, if the device can tell.
    Loaded(Option<WireRange>),
    Ranges(Vec<WireRange>),
    Addresses(Vec<u64>),
    Usage {
        allocations: usize,
        bytes: usize,
        kernels: usize,
    },
    Report(WireReport),
    Interleaving(Option<(u64, u64, bool)>),
}

/// A [`Holder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum WireHolder {
    User,
    Orchestration,
    Kernel,
    Tensors(i32),
    Graphs(i32),
    Window,
    RunArena,
    Code,
}

/// A [`LoadedRange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireRange {
    pub(super) id: i32,
    pub(super) generation: u32,
    pub(super) base: u64,
    pub(super) span: usize,
    pub(super) bias: u64,
}

/// A [`DeviceMemoryReport`]; of each holder its allocations, bytes, and the most bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireReport {
    pub(super) bytes: usize,
    pub(super) high_water_bytes: usize,
    pub(super) arena_reserved_bytes: usize,
    pub(super) holders: Vec<(WireHolder, [usize; 3])>,
}

impl From<Holder> for WireHolder {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::User => Self::User,
            Holder::Orchestration => Self::Orchestration,
            Holder::Kernel => Self::Kernel,
            Holder::Tensors(id) => Self::Tensors(id.raw()),
            Holder::Graphs(id) => Self::Graphs(id.raw()),
            Holder::Window => Self::Window,
            Holder::RunArena => Self::RunArena,
            Holder::Code => Self::Code,
        }
    }
}

impl WireHolder {
    /// The holder; `None` with an id that is none.
    pub(super) fn holder(self) -> Option<Holder> {
        Some(match self {
            Self::User => Holder::User,
            Self::Orchestration => Holder::Orchestration,
            Self::Kernel => Holder::Kernel,
            Self::Tensors(id) => Holder::Tensors(callable_id(id)?),
            Self::Graphs(id) => Holder::Graphs(callable_id(id)?),
            Self::Window => Holder::Window,
            Self::RunArena => Holder::RunArena,
            Self::Code => Holder::Code,
        })
    }
}

/// The id of a number that came over the wire.
pub(super) fn callable_id(raw: i32) -> Option<CallableId> {
    CallableId::new(raw.into()).ok()
}

impl From<&LoadedRange> for WireRange {
    fn from(range: &LoadedRange) -> Self {
        let &LoadedRange { id, generation, base, span, bias } = range;
        Self { id: id.raw(), generation, base, span, bias }
    }
}

impl WireRange {
    /// The range; `None` with an id that is none.
    pub(super) fn range(&self) -> Option<LoadedRange> {
        let &Self { id, generation, base, span, bias } = self;
        Some(LoadedRange { id: callable_id(id)?, generation, base, span, bias })
    }
}

impl From<&DeviceMemoryReport> for WireReport {
    fn from(report: &DeviceMemoryReport) -> Self {
        let of = |usage: &HolderUsage| {
            (usage.holder.into(), [usage.allocations, usage.bytes, usage.high_water_bytes])
        };
        Self {
            bytes: report.bytes,
            high_water_bytes: report.high_water_bytes,
            arena_reserved_bytes: report.arena_reserved_bytes,
            holders: report.holders.iter().map(of).collect(),
        }
    }
}

impl From<&WireReport> for DeviceMemoryReport {
    fn from(report: &WireReport) -> Self {
        let of = |(holder, [allocations, bytes, high_water_bytes]): &(WireHolder, [usize; 3])| {
            Some(HolderUsage {
                holder: holder.holder()?,
                allocations: *allocations,
                bytes: *bytes,
                high_water_bytes: *high_water_bytes,
            })
        };
        Self {
            bytes: report.bytes,
            high_water_bytes: report.high_water_bytes,
            arena_reserved_bytes: report.arena_reserved_bytes,
            holders: report.holders.iter().filter_map(of).collect(),
        }
    }
}

impl From<DeviceUsage> for Answer {
    fn from(usage: DeviceUsage) -> Self {
        let DeviceUsage { allocations, bytes, kernels } = usage;
        Self::Usage { allocations, bytes, kernels }
    }
}

impl From<Option<Interleaving>> for Answer {
    fn from(interleaving: Option<Interleaving>) -> Self {
        Self::Interleaving(interleaving.map(|it| (it.points, it.hash, it.is_replayable)))
    }
}
