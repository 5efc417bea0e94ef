//! What differs between the chip families, as constants and types of one trait.
//!
//! Code that works on any chip takes `C: Chip`; nothing else in the workspace compares chip names.
//! Sources: spec trb §2, §6.2, §11, spec callable §3.7.

use crate::handshake::{HandshakeA2a3, HandshakeA5, HandshakeRecord};
use crate::kernel_args::{KernelArgsA2a3, KernelArgsA5};
use crate::runtime::{RuntimeA2a3, RuntimeA5, RuntimeRecord};
use core::fmt;

/// A chip family, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChipName {
    /// 24 clusters.
    A2a3,
    /// 36 clusters.
    A5,
}

impl ChipName {
    /// Returns the name that users and layout tables use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A2a3 => "a2a3",
            Self::A5 => "a5",
        }
    }
}

impl fmt::Display for ChipName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A chip family, as a type.
pub trait Chip: Copy + Send + Sync + 'static {
    /// Name that users give.
    const NAME: &'static str;
    /// Clusters of one cube and two vector cores.
    const MAX_CLUSTERS: usize;
    /// Cores, and handshakes in the run record.
    const MAX_CORES: usize;
    /// AICPU threads that take part in a run.
    const MAX_AICPU_THREADS: usize;
    /// AICPU threads that a launch starts; the surplus leaves at once.
    const LAUNCHED_AICPU_THREADS: usize;
    /// Physical core ids are below this.
    const PHYSICAL_CORE_LIMIT: usize;
    /// Ticks of the counter per second.
    const COUNTER_HZ: u64;
    /// Byte offset of the dispatch register in a core's block.
    const DATA_MAIN_BASE: usize;
    /// Byte offset of the condition register in a core's block.
    const COND: usize;
    /// Byte offset of the fast path register in a core's block, where there is one.
    const FAST_PATH_ENABLE: Option<usize>;
    /// Whether the SDMA engine leaves event records that a deferred task may wait for (spec trb §11).
    const HAS_SDMA_EVENT_RECORDS: bool;
    /// Whether the AICPU sees counters in device memory without dropping its cache lines first.
    const COUNTERS_ARE_COHERENT: bool;
    /// Bytes of a core's register block in the simulator: one contiguous range.
    const SIM_REGISTER_BYTES: usize;

    /// Bring-up record of one core.
    type Handshake: HandshakeRecord;
    /// Run record.
    type Runtime: RuntimeRecord<Handshake = Self::Handshake>;
    /// Launch record.
    type KernelArgs;
}

/// The a2a3 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct A2a3;

impl Chip for A2a3 {
    const NAME: &'static str = ChipName::A2a3.name();
    const MAX_CLUSTERS: usize = 24;
    const MAX_CORES: usize = 72;
    const MAX_AICPU_THREADS: usize = 4;
    const LAUNCHED_AICPU_THREADS: usize = 6;
    const PHYSICAL_CORE_LIMIT: usize = 75;
    const COUNTER_HZ: u64 = 50_000_000;
    const DATA_MAIN_BASE: usize = 0xA0;
    const COND: usize = 0x4C8;
    const FAST_PATH_ENABLE: Option<usize> = Some(0x18);
    const HAS_SDMA_EVENT_RECORDS: bool = true;
    const COUNTERS_ARE_COHERENT: bool = false;
    const SIM_REGISTER_BYTES: usize = 0x1400;

    type Handshake = HandshakeA2a3;
    type Runtime = RuntimeA2a3;
    type KernelArgs = KernelArgsA2a3;
}

/// The a5 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct A5;

impl Chip for A5 {
    const NAME: &'static str = ChipName::A5.name();
    const MAX_CLUSTERS: usize = 36;
    const MAX_CORES: usize = 108;
    const MAX_AICPU_THREADS: usize = 7;
    const LAUNCHED_AICPU_THREADS: usize = 7;
    const PHYSICAL_CORE_LIMIT: usize = 108;
    const COUNTER_HZ: u64 = 1_000_000_000;
    const DATA_MAIN_BASE: usize = 0xD0;
    const COND: usize = 0x5108;
    const FAST_PATH_ENABLE: Option<usize> = None;
    const HAS_SDMA_EVENT_RECORDS: bool = false;
    const COUNTERS_ARE_COHERENT: bool = true;
    const SIM_REGISTER_BYTES: usize = 0x6000;

    type Handshake = HandshakeA5;
    type Runtime = RuntimeA5;
    type KernelArgs = KernelArgsA5;
}

/// Checks what holds between the constants of any chip.
const fn check<C: Chip>() {
    assert!(C::MAX_CORES == C::MAX_CLUSTERS * crate::limits::LANE_COUNT);
    assert!(C::MAX_CORES <= C::PHYSICAL_CORE_LIMIT);
    assert!(C::MAX_AICPU_THREADS <= C::LAUNCHED_AICPU_THREADS);
    assert!(C::DATA_MAIN_BASE + 4 <= C::SIM_REGISTER_BYTES);
    assert!(C::COND + 4 <= C::SIM_REGISTER_BYTES);
}

const _: () = {
    check::<A2a3>();
    check::<A5>();
};
