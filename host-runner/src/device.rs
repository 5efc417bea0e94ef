//! A device as the host sees it: memory, kernels, and runs.
//!
//! The registry and the run path above are the same for every chip and for every way to reach one;
//! what differs is behind [`Device`]. What a run needs from the host is written into the
//! [`RuntimeBody`] of the device's run record; sizes, arenas and cores are the device's business.

use std::sync::Arc;
use std::time::Duration;

use aicpu_executor::Fault;
use aicpu_executor::loaded_code::LoadedRange;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, DeviceAddr, GraphRun, RuntimeBody};

use crate::code_listing::CodeLister;

#[expect(unsafe_code, reason = "the vendor's functions are called through their C interface")]
pub mod cann;
pub mod crash;
pub mod error;
#[cfg(test)]
pub(crate) mod failing;
pub mod image;
pub mod ledger;
pub mod load;
pub mod log_area;
pub mod memory_report;
pub mod orchestration_check;
#[expect(unsafe_code, reason = "shares memory with another process, and handles its signals")]
pub mod process;
pub mod resident_symbols;
pub mod run_site;
#[expect(unsafe_code, reason = "maps memory that another process maps")]
pub mod shared_file;
pub mod shared_memory;
#[expect(
    unsafe_code,
    reason = "the simulator shares memory with kernels, orchestrations and the system"
)]
pub mod sim;

pub use crash::{Crash, CrashFrame, CrashedIn};
pub use error::{DeviceError, DeviceLost, KernelError, LostCause, MemoryError, OrchestrationError};
pub use image::ImageError;
pub use load::{LoadFault, OrchestrationLoad, ThrowTrace};
pub use memory_report::{DeviceMemoryReport, Holder, HolderUsage};
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
    /// Ids under which callables can be loaded at once: 0 to this, without it.
    pub callable_ids: usize,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunOutcome {
    /// The first fault, if the run failed. Boxed, since it is not small and most runs have none.
    pub fault: Option<Box<Fault>>,
    /// Tasks that the orchestration submitted, `alloc_tensors` included.
    pub tasks: u64,
    /// Whether this run loaded the orchestration.
    pub loaded: bool,
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

/// Device memory that has been looked up. It stays as long as this does.
pub trait PinnedMemory: Send + Sync + std::fmt::Debug {
    /// Copies `from` to the device, `offset` bytes from the start.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`]; [`MemoryError::Gone`] where the device is.
    fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), MemoryError>;

    /// Copies from the device to `to`.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<(), MemoryError>;
}

/// What is resident on a device, shared by equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Where it is.
    pub address: DeviceAddr,
    /// Whether it was there before, with the same bytes.
    pub was_there: bool,
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

/// What a run carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The orchestration that the run record names, on rings of these sizes (trb).
    Orchestration(RingConfig),
    /// A graph that is in device memory (hbg).
    Graph(GraphRun),
}

/// How a run is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// Clusters to use, at least 1 and at most what the device has.
    pub clusters: u32,
    /// AICPU threads to use, at least 1 and at most what the device has.
    pub aicpu_threads: u32,
    /// What to carry out.
    pub work: Work,
    /// How long no task may make progress; zero is the executor's default.
    pub stall_timeout: Duration,
    /// How long the run may take.
    pub timeout: Duration,
    /// How long after that the device may take to stop.
    pub grace: Duration,
}

/// One device, used from any thread. Dropping it gives everything back, unless it was lost.
///
/// One run is in flight at a time; a second one waits. Everything else works meanwhile, but what a
/// run or a load uses must neither be freed nor written to by the host: the caller sees to that.
///
/// A device is lost where code of the user does not return.
///
/// * In a run: code that still runs may use everything that the device has, so all of it is put out
///   of reach and stays for good; each later call ends with an error that says so.
/// * In a load or an unload: nothing new starts on the device, but what is there can still be read
///   and given back, so that a run that is in flight ends as if nothing had happened, outputs
///   included.
///
/// A call that is under way when the device is lost ends with an error, too.
pub trait Device: Send + Sync {
    /// What the device can hold and do at once.
    fn facts(&self) -> DeviceFacts;

    /// Whether the device has come to its end by itself, outside of any call: the process that it is in, for
    /// one. It is lost then, whoever is told first; what was found on it before holds no more.
    fn has_ended(&self) -> bool {
        false
    }

    /// What is in use on it.
    fn usage(&self) -> DeviceUsage;

    /// Who holds its memory. Waits for nothing, so that it can be asked for during a run.
    fn memory_report(&self) -> DeviceMemoryReport;

    /// Allocates zeroed device memory, aligned to 64 bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`]; [`MemoryError::Gone`] on a lost device.
    fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError>;

    /// What this holder has now is the most that it has had from now on: who holds it is another one than
    /// before. A load of an orchestration does that for the tensors of its id.
    fn restart_high_water(&self, _holder: Holder) {}

    /// Frees device memory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`]; [`MemoryError::Gone`] where nothing can be reached any more.
    fn free(&self, address: DeviceAddr) -> Result<(), MemoryError>;

    /// Copies `from` to the device.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`]; [`MemoryError::Gone`] as for [`free`](Self::free).
    fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError>;

    /// Copies the image of an orchestration to memory of its own, which nobody writes to any more; to be
    /// given back with [`free`](Self::free).
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate) and [`copy_in`](Self::copy_in); nothing stays behind.
    fn upload_image(&self, image: &[u8]) -> Result<DeviceAddr, MemoryError> {
        let address = self.allocate(image.len(), Holder::Orchestration)?;
        if let Err(error) = self.copy_in(address, image) {
            self.free(address)?;
            return Err(error);
        }
        Ok(address)
    }

    /// Checks that a range lies inside one live allocation of [`Holder::User`], or inside memory that
    /// is attached: what belongs to callables is not the user's to name.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError>;

    /// Copies from the device to `to`.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`]; [`MemoryError::Gone`] as for [`free`](Self::free).
    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError>;

    /// A number that changes whenever an address of this device may have come to mean something else:
    /// memory was freed or detached, or the device was lost. What was found before holds as long as it
    /// is the same. `None` from a device that cannot tell.
    fn memory_epoch(&self) -> Option<u64> {
        None
    }

    /// The allocation that starts at `address`, for a host that copies there again and again. It may
    /// be used as long as the [epoch](Self::memory_epoch) is the same. `None` from a device that has no
    /// such way, and where there is no such allocation.
    fn pin(&self, _address: DeviceAddr) -> Option<Arc<dyn PinnedMemory>> {
        None
    }

    /// Lets kernels of this device use memory that others use too: keeps it as long as they might.
    /// Memory of its own counts in [`usage`](Self::usage). Nothing happens on a lost device.
    fn attach(&self, memory: Arc<SharedMemory>, side: Side);

    /// Whether kernels of this device can use memory of this process ([`attach`](Self::attach)).
    fn reaches_this_process(&self) -> bool {
        true
    }

    /// Ends [`attach`](Self::attach) of the memory at `address`; nothing happens where there is none.
    fn detach(&self, address: DeviceAddr);

    /// Whether the device will be able to load this orchestration and call its entry.
    ///
    /// # Errors
    ///
    /// [`OrchestrationError`].
    fn check_orchestration(&self, image: &[u8], entry: &str) -> Result<(), OrchestrationError>;

    /// Makes a kernel resident and returns the address of its record, for the run record's table.
    ///
    /// Equal bytes are loaded once, also by two threads at once; each call takes a reference.
    ///
    /// # Errors
    ///
    /// [`KernelError`]; nothing stays behind.
    fn load_kernel(&self, kernel: &CoreCallableView<'_>) -> Result<Uploaded, KernelError>;

    /// Gives one reference to a kernel back. No run in flight may use the last one.
    ///
    /// # Errors
    ///
    /// [`KernelError::Unknown`]; [`KernelError::NotReturned`] where its destructors do not return, and the device goes
    /// on without it; [`KernelError::Lost`] where they have cost the device; [`KernelError::Gone`] where nothing can be
    /// reached any more.
    fn unload_kernel(&self, record: DeviceAddr) -> Result<(), KernelError>;

    /// Has the AICPU load the orchestration of an id now, in place of what the id had before, and
    /// waits for its acknowledgement: its constructors have run, and runs of the id need not bring
    /// it along.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Load`], where nothing of it stays; [`DeviceError::Memory`] where the image is
    /// not in device memory; [`DeviceError::Lost`] where a constructor does not return, and
    /// [`DeviceError::Gone`] on a lost device.
    fn load_orchestration(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError>;

    /// Has the AICPU unload the orchestration of an id, if it has loaded this generation of it: its
    /// destructors run, and its memory is free. Where a run uses it, that run does so at its end.
    ///
    /// # Errors
    ///
    /// A destructor does not return. The device is lost.
    fn unload_orchestration(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost>;

    /// Where the code of each orchestration is that the AICPU has loaded.
    fn loaded_code(&self) -> Vec<LoadedRange>;

    /// Has code that is loaded shown to debuggers and profilers. To be called before the first load and
    /// before [`facts`](Self::facts), which decide where code will be; the first call counts. A device whose code is not in this process has nothing to show.
    fn list_code(&self, _lister: Arc<CodeLister>) {}

    /// Return addresses of the calls through which the exception came that ended the last run, the
    /// innermost first; none where there was no exception, or the device cannot tell. To be asked
    /// before the next run begins; loads and unloads change nothing about it.
    fn throw_trace(&self) -> Vec<u64> {
        Vec::new()
    }

    /// What the last run went through; `None` unless threads take turns in the order of a seed.
    fn interleaving(&self) -> Option<Interleaving> {
        None
    }

    /// Carries out a run. Waits while another one is in flight.
    ///
    /// `fill` writes the host's part of the run record when the run's turn has come, whether or not
    /// the run comes about then. It gets the record as the last `fill` left it, so that it may leave
    /// as it is what has not changed. It must not call the device.
    ///
    /// A fault of the run is part of the outcome, not an error.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Lost`] where the device did not come back; it is of no use then but to be
    /// dropped. [`DeviceError::Gone`], without `fill`, on a lost device. [`DeviceError::OutOfRange`],
    /// [`DeviceError::Rings`] and [`DeviceError::Memory`] before anything ran.
    fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError>;
}
