//! A real chip, through the vendor's runtime CANN, which is looked for when a device is opened.
//!
//! ```text
//!  Device ─▶ CannDevice ─┬ memory, kernels ─┐
//!                        ├ run_site: records ├─▶ session ─▶ api ─▶ functions ─▶ libascendcl, libruntime, hal
//!                        └ launch, running ──┘
//!  AICPU: libaicpu.so (our executor), which the driver's server calls · cores: their loop
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`ffi`] | the vendor's interface as we declare it, and what of that is unverified |
//! | [`libraries`] | which libraries, where, which functions, what is missing |
//! | [`api`] | the functions as calls with results |
//! | [`error`] | what their numbers mean |
//! | [`session`] | what comes first and what goes last |
//! | [`memory`], [`kernels`] | what is on the device, and who holds it |
//! | [`image`] | the programs that the device runs for us |
//! | [`chip`] | what differs between chips |
//! | [`launch`], [`running`], [`device_log`] | runs and loads, and what came of them |
//!
//! # What differs from the simulator
//!
//! * Nothing reaches into the device while it runs: a run ends by itself, or its limit passes and the
//!   device is reset by force. The worker opens it again then.
//! * Loads wait for the run in flight, and runs for a load: they share the AICPU's stream.
//! * Windows of groups of workers are memory of this process, which the device does not reach.
//! * A process has one such device at a time.
//!
//! # Locks
//!
//! `site` is held for a run or a load; `Kernels` while a kernel is uploaded; the table of `DeviceMemory` to
//! look something up; then `Ledger`. In this order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aicpu_executor::loaded_code::LoadedRange;
use aicpu_executor::loader::Machine;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, DeviceAddr, MAX_REGISTERED_CALLABLE_IDS, RuntimeBody};

use super::{
    Device, DeviceError, DeviceFacts, DeviceLost, DeviceMemoryReport, DeviceUsage, Holder,
    KernelError, Launch, MemoryError, OrchestrationError, OrchestrationLoad, RunOutcome,
    SharedMemory, Side, Uploaded, image as shared_object,
};
use crate::run::TIMEOUT_MAX;

pub mod api;
pub mod chip;
pub mod device_log;
pub mod error;
#[cfg(test)]
mod fake;
pub mod ffi;
pub mod image;
pub mod kernels;
pub mod launch;
pub mod libraries;
pub mod memory;
pub mod running;
pub mod session;

pub use chip::CannChip;
pub use error::{CallError, CannError};
pub use image::CannConfig;

use api::Api;
use kernels::Kernels;
use launch::{Launcher, StartError};
use libraries::Functions;
use memory::DeviceMemory;
use running::Site;
use session::{Claim, Session};

/// How long loading or unloading may take unless the host says otherwise.
const UNLOAD_LIMIT_DEFAULT: Duration = crate::device::sim::UNLOAD_LIMIT_DEFAULT;

/// A chip.
pub struct CannDevice<C: CannChip> {
    site: Mutex<Site<C>>,
    kernels: Kernels,
    memory: DeviceMemory,
    /// The machine that orchestrations are for.
    machine: Machine,
    unload_limit: Duration,
    session: Arc<Session>,
}

impl<C: CannChip> CannDevice<C> {
    /// Opens a device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Cann`] and [`DeviceError::Memory`]; nothing stays behind.
    pub fn open(config: &CannConfig) -> Result<Self, DeviceError> {
        let functions =
            Functions::open(config.home.as_deref(), C::CHIP).map_err(CannError::from)?;
        Self::open_with(functions, config)
    }

    /// Opens a device that these functions reach.
    pub(crate) fn open_with(
        functions: Functions,
        config: &CannConfig,
    ) -> Result<Self, DeviceError> {
        // Before anything is done to the device.
        config.aicpu_program(C::CHIP)?;
        config.core_program(C::CHIP)?;
        let claim = Claim::take()?;
        let session = Session::open(Api::new(functions), config.device.into(), claim)?;
        let memory = DeviceMemory::new(Arc::clone(&session));
        let launcher = Launcher::start(&session, config)?;
        let site = Site::new(launcher, &session, memory.ledger())?;
        Ok(Self {
            site: Mutex::new(site),
            kernels: Kernels::default(),
            memory,
            machine: config.aicpu_machine,
            unload_limit: UNLOAD_LIMIT_DEFAULT,
            session,
        })
    }

    /// The same with another limit for loading and unloading; zero is the default.
    #[must_use]
    pub fn with_unload_limit(mut self, limit: Duration) -> Self {
        if !limit.is_zero() {
            self.unload_limit = limit.min(TIMEOUT_MAX);
        }
        self
    }

    /// Resets the device by force, and forgets what was on it.
    fn lose(&self, site: &mut Site<C>, lost: DeviceLost) -> DeviceLost {
        tracing::warn!(%lost, "resetting the device");
        self.session.lose();
        site.lose();
        self.kernels.lose();
        self.memory.lose();
        lost
    }

    /// What runs and loads have for themselves; waits for the one in flight.
    fn site(&self) -> Result<MutexGuard<'_, Site<C>>, DeviceError> {
        // The record is written anew where it matters before each use.
        let site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        if self.session.is_lost() { Err(DeviceError::Gone) } else { Ok(site) }
    }

    /// Whether the device can carry out this launch.
    fn check(&self, launch: &Launch) -> Result<(), DeviceError> {
        let DeviceFacts { clusters_max, aicpu_threads_max, .. } = self.facts();
        let within = |what, value, max| {
            let valid = (1..=max).contains(&value);
            if valid { Ok(()) } else { Err(DeviceError::OutOfRange { what, value, max }) }
        };
        within("clusters", launch.clusters, clusters_max)?;
        within("AICPU threads", launch.aicpu_threads, aicpu_threads_max)
    }
}

impl<C: CannChip> Device for CannDevice<C> {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            chip: C::NAME,
            // CAST: a chip has at most a few hundred cores and a handful of threads.
            clusters_max: C::MAX_CLUSTERS as u32,
            aicpu_threads_max: C::MAX_AICPU_THREADS as u32,
            // How many more the executor has, it says after its first run.
            callable_ids: MAX_REGISTERED_CALLABLE_IDS,
        }
    }

    fn usage(&self) -> DeviceUsage {
        let (allocations, bytes) = self.memory.usage();
        DeviceUsage { allocations, bytes, kernels: self.kernels.count() }
    }

    fn memory_report(&self) -> DeviceMemoryReport {
        self.memory.report()
    }

    fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        self.memory.allocate(bytes, holder)
    }

    fn restart_high_water(&self, holder: Holder) {
        self.memory.ledger().restart(holder);
    }

    fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        self.memory.free(address)
    }

    fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        self.memory.copy_in(to, from)
    }

    fn upload_image(&self, image: &[u8]) -> Result<DeviceAddr, MemoryError> {
        self.memory.allocate_with(image, Holder::Orchestration)
    }

    fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        match self.memory.holder_of(address, bytes)? {
            Holder::User => Ok(()),
            _ => Err(MemoryError::OutOfRange { address, bytes }),
        }
    }

    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        self.memory.copy_out(to, from)
    }

    fn attach(&self, memory: Arc<SharedMemory>, _side: Side) {
        // `reaches_this_process` has said so before.
        tracing::error!(address = %memory.address(), "memory of the host is out of reach of the device");
    }

    fn reaches_this_process(&self) -> bool {
        false
    }

    fn detach(&self, _address: DeviceAddr) {}

    fn check_orchestration(&self, image: &[u8], entry: &str) -> Result<(), OrchestrationError> {
        // What it imports, the AICPU program offers or does not: it says so when it loads.
        Ok(shared_object::check_for(self.machine, image, entry)?)
    }

    fn load_kernel(&self, kernel: &CoreCallableView<'_>) -> Result<Uploaded, KernelError> {
        self.kernels.load(kernel, &self.memory)
    }

    fn unload_kernel(&self, record: DeviceAddr) -> Result<(), KernelError> {
        if self.session.is_lost() {
            return Err(KernelError::Gone);
        }
        self.kernels.unload(record, &self.memory)
    }

    fn load_orchestration(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError> {
        let bytes = usize::try_from(load.bytes).unwrap_or(usize::MAX);
        let mut site = self.site()?;
        self.memory.holder_of(load.address, bytes)?;
        self.memory.ledger().restart(Holder::Tensors(load.id));
        site.load(load, self.unload_limit).or_else(|end| end.or_lose(|it| self.lose(&mut site, it)))
    }

    fn unload_orchestration(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        let Ok(mut site) = self.site() else { return Ok(()) };
        match site.unload(id, generation, self.unload_limit) {
            Ok(()) => Ok(()),
            Err(running::End::Lost(lost)) => Err(self.lose(&mut site, lost)),
            Err(running::End::Refused(error)) => {
                tracing::warn!(%error, "an orchestration stays loaded until its id is used again");
                Ok(())
            }
        }
    }

    fn loaded_code(&self) -> Vec<LoadedRange> {
        // It is not in this process.
        Vec::new()
    }

    fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError> {
        let mut site = self.site()?;
        fill(site.body_mut());
        self.check(launch)?;
        site.run(launch).or_else(|end| end.or_lose(|lost| self.lose(&mut site, lost)))
    }
}

impl From<StartError> for DeviceError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Cann(error) => error.into(),
            StartError::Memory(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
