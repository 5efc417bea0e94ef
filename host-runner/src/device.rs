//! A device as the host sees it: memory, kernels, and runs.
//!
//! The registry and the run path above are the same for every chip and for every way to reach one;
//! what differs is behind [`Device`]. What a run needs from the host is written into the
//! [`RuntimeBody`] of the device's run record; sizes, arenas and cores are the device's business.

use std::sync::Arc;
use std::time::Duration;

use aicpu_executor::RunOutcome;
use aicpu_executor::loaded_code::LoadedRange;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, DeviceAddr, RuntimeBody};

use crate::code_listing::CodeLister;

pub mod error;
pub mod image;
pub mod orchestration_check;
pub mod resident_symbols;
pub mod shared_memory;
#[expect(
    unsafe_code,
    reason = "the simulator shares memory with kernels, orchestrations and the system"
)]
pub mod sim;

pub use error::{DeviceError, DeviceLost, KernelError, LostCause, MemoryError, OrchestrationError};
pub use image::ImageError;
pub use shared_memory::SharedMemory;
pub use sim::turns::Interleaving;

/// What a device can hold and do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Name of the chip.
    pub chip: &'static str,
    /// Clusters, the upper limit of a run's block dimension.
    pub clusters_max: u32,
    /// AICPU threads of one run.
    pub aicpu_threads_max: u32,
}

/// What is in use on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceUsage {
    /// Live allocations, records of kernels included.
    pub allocations: usize,
    /// Bytes in them.
    pub bytes: usize,
    /// Distinct kernels that are loaded.
    pub kernels: usize,
}

/// Whose memory is attached to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The device's own.
    Own,
    /// That of another device, which this one reaches.
    Peer,
}

/// Sizes of a ring; 0 is the default of the executor. There are four rings (spec trb §2.1, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingConfig {
    /// Task slots per ring, a power of two from 4.
    pub task_window: u64,
    /// Bytes of output memory per ring, a power of two from 1024.
    pub heap_bytes: u64,
    /// Dependency edges per ring, from 4.
    pub dep_pool: u64,
}

/// How a run is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// Clusters to use, at least 1 and at most what the device has.
    pub clusters: u32,
    /// AICPU threads to use, at least 1 and at most what the device has.
    pub aicpu_threads: u32,
    /// Sizes of the rings.
    pub rings: RingConfig,
    /// How long no task may make progress; zero is the executor's default.
    pub stall_timeout: Duration,
    /// How long the run may take.
    pub timeout: Duration,
    /// How long after that the device may take to stop.
    pub grace: Duration,
}

/// One device. Dropping it gives everything back, unless it was lost.
pub trait Device: Send {
    /// What the device can hold and do at once.
    fn facts(&self) -> DeviceFacts;

    /// What is in use on it.
    fn usage(&self) -> DeviceUsage;

    /// Allocates zeroed device memory, aligned to 64 bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`].
    fn allocate(&mut self, bytes: usize) -> Result<DeviceAddr, MemoryError>;

    /// Frees device memory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`].
    fn free(&mut self, address: DeviceAddr) -> Result<(), MemoryError>;

    /// Copies `from` to the device.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError>;

    /// Checks that a range lies inside one live allocation.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    fn check_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError>;

    /// Copies from the device to `to`.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError>;

    /// Lets kernels of this device use memory that others use too: keeps it as long as they might.
    /// Memory of its own counts in [`usage`](Self::usage).
    fn attach(&mut self, memory: Arc<SharedMemory>, side: Side);

    /// Ends [`attach`](Self::attach) of the memory at `address`; nothing happens where there is none.
    fn detach(&mut self, address: DeviceAddr);

    /// Whether the device will be able to load this orchestration and call its entry.
    ///
    /// # Errors
    ///
    /// [`OrchestrationError`].
    fn check_orchestration(&self, image: &[u8], entry: &str) -> Result<(), OrchestrationError>;

    /// Makes a kernel resident and returns the address of its record, for the run record's table.
    ///
    /// Equal bytes are loaded once; each call takes a reference.
    ///
    /// # Errors
    ///
    /// [`KernelError`]; nothing stays behind.
    fn load_kernel(&mut self, kernel: &CoreCallableView<'_>) -> Result<DeviceAddr, KernelError>;

    /// Gives one reference to a kernel back.
    ///
    /// # Errors
    ///
    /// [`KernelError::Unknown`].
    fn unload_kernel(&mut self, record: DeviceAddr) -> Result<(), KernelError>;

    /// Has the AICPU unload the orchestration of an id, if it has loaded this generation of it: its
    /// destructors run, and its memory is free. Between two runs, so nothing is deferred.
    ///
    /// # Errors
    ///
    /// A destructor does not return. The device is lost, as it is to a run that hangs.
    fn unload_orchestration(&mut self, id: CallableId, generation: u32) -> Result<(), DeviceLost>;

    /// Where the code of each orchestration is that the AICPU has loaded.
    fn loaded_code(&self) -> Vec<LoadedRange>;

    /// Has code that is loaded shown to debuggers and profilers. To be called before the first run;
    /// the first call counts. A device whose code is not in this process has nothing to show.
    fn list_code(&mut self, _lister: Arc<CodeLister>) {}

    /// Return addresses of the calls through which the exception came that ended the last run, the
    /// innermost first; none where there was no exception, or the device cannot tell.
    fn throw_trace(&mut self) -> Vec<u64> {
        Vec::new()
    }

    /// What the last run went through; `None` unless threads take turns in the order of a seed.
    fn interleaving(&self) -> Option<Interleaving> {
        None
    }

    /// The part of the run record that the host fills, as the last run left it.
    fn run_record(&mut self) -> &mut RuntimeBody;

    /// Carries out the run that the run record describes.
    ///
    /// A fault of the run is part of the outcome, not an error.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Lost`] where the device did not come back; it is of no use then but to be
    /// dropped. [`DeviceError::OutOfRange`], [`DeviceError::Rings`] and [`DeviceError::Memory`]
    /// before anything ran.
    fn run(&mut self, launch: &Launch) -> Result<RunOutcome, DeviceError>;
}
