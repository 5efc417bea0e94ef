//! The API of the library: a worker on one device.
//!
//! Registering puts a callable on the device and gives a handle; running takes the handle,
//! arguments, and settings. The first run of a registration has the executor load the
//! orchestration; later ones only name it (spec callable §0).
//!
//! A run that fails leaves the worker usable. Where the device does not come back, the worker
//! gives it up, takes a fresh one for the next run, and puts the callables on it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{A2a3, A5, CallableId, Chip, DeviceAddr, StatusCode};

use crate::arguments::Arguments;
use crate::callable::Callable;
use crate::code_listing::CodeLister;
use crate::device::sim::SimDevice;
use crate::device::{Device, DeviceError, DeviceFacts, DeviceUsage};
use crate::image_cache::ImageCache;
use crate::registry::{Registry, UnregisterError};
use crate::run::{self, Bound};

mod code_location;
mod config;
mod peers;
mod throw_site;

pub use crate::code_listing::CodeListing;
pub use crate::device::{Interleaving, RingConfig};
pub use crate::platform_name::{PlatformName, UnknownPlatform};
pub use crate::registry::RegisterError;
pub use crate::run::{RunConfig, RunError, RunFault, RunReport};
pub use code_location::{BuildId, CodeLocation};
pub use config::{WorkerConfig, WorkerError};

/// A registered callable.
///
/// # Invariants
///
/// Made by one worker, for one use of an id; every other worker and use refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallableHandle {
    worker: u64,
    id: CallableId,
    generation: u32,
}

impl CallableHandle {
    /// The id under which the device knows the callable.
    pub fn id(&self) -> CallableId {
        self.id
    }
}

/// What a worker has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Callables registered.
    pub registrations: u64,
    /// Orchestrations that the executor has loaded (`aicpu_dlopen_count` of the reference).
    pub loads: u64,
    /// Runs that succeeded.
    pub runs: u64,
}

/// A device with its registered callables. Calls from several threads wait for one another.
pub struct Worker {
    config: WorkerConfig,
    /// Tells this worker's handles from those of others.
    serial: u64,
    /// How many devices were lost; changed under the lock of the state, read without.
    losses: Arc<AtomicU64>,
    state: Mutex<State>,
}

/// How the device is opened, and again after it was lost.
struct Opening {
    platform: PlatformName,
    unload_limit: Duration,
    /// Whom loaded code is shown to, if anybody.
    lister: Option<Arc<CodeLister>>,
    /// Which interleaving runs go through.
    interleaving_seed: Option<u64>,
    image_cache: Option<Arc<ImageCache>>,
}

/// What changes with every call.
struct State {
    opening: Opening,
    losses: Arc<AtomicU64>,
    /// `None` after it was lost, until the next call that needs one.
    device: Option<Box<dyn Device>>,
    registry: Registry,
    counters: Counters,
    /// What the run record names.
    bound: Option<Bound>,
}

impl Worker {
    /// Opens a device.
    ///
    /// # Errors
    ///
    /// [`WorkerError`].
    pub fn open(config: WorkerConfig) -> Result<Self, WorkerError> {
        config.check()?;
        crate::log::forward();
        let lister = CodeLister::open(&config.code_listing)?;
        let WorkerConfig { platform, unload_limit, interleaving_seed, .. } = config;
        let image_cache = config.image_cache.clone();
        let opening = Opening { platform, unload_limit, lister, interleaving_seed, image_cache };
        let device = opening.device()?;
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // ORDERING: Relaxed: only the number matters.
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let losses = Arc::<AtomicU64>::default();
        let state = State {
            opening,
            losses: Arc::clone(&losses),
            device: Some(device),
            registry: Registry::default(),
            counters: Counters::default(),
            bound: None,
        };
        Ok(Self { config, serial, losses, state: Mutex::new(state) })
    }

    /// Registers a callable: afterwards it is on the device, ready to be run any number of times.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; nothing stays behind then.
    pub fn register(&self, callable: &Callable) -> Result<CallableHandle, RegisterError> {
        let mut state = self.state();
        let state = &mut *state;
        let device = state.opening.ensure(&mut state.device)?;
        let (id, generation) = state.registry.register(device, callable.name(), callable.blob())?;
        state.counters.registrations += 1;
        if let Some(lister) = &state.opening.lister {
            lister.name(id, generation, callable.name());
        }
        Ok(CallableHandle { worker: self.serial, id, generation })
    }

    /// Unregisters a callable and gives back everything that it had on the device. Its id becomes
    /// free; handles to it are refused from now on.
    ///
    /// Waits while a run is in flight. The destructors of the orchestration run on the device, and
    /// have [`WorkerConfig::unload_limit`] for it.
    ///
    /// # Errors
    ///
    /// [`RunError::ForeignHandle`] and [`RunError::StaleHandle`], also for the second of two calls.
    /// [`RunError::DeviceLost`] where a destructor does not return: the callable is unregistered all
    /// the same, and the next run gets a fresh device.
    pub fn unregister(&self, handle: &CallableHandle) -> Result<(), RunError> {
        let mut state = self.state_for(handle)?;
        let state = &mut *state;
        let device = state.opening.ensure(&mut state.device)?;
        let end = state.registry.unregister(device, handle.id, handle.generation);
        state.bound = None;
        if let Some(lister) = &state.opening.lister {
            lister.forget(handle.id, handle.generation);
        }
        if matches!(end, Err(UnregisterError::DeviceLost(_))) {
            state.forget_device();
        }
        Ok(end?)
    }

    /// Runs a callable and waits for its end. Outputs are written only if it succeeds.
    ///
    /// # Errors
    ///
    /// [`RunError`]. The worker stays usable.
    pub fn run(
        &self,
        handle: &CallableHandle,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<RunReport, RunError> {
        let mut state = self.state_for(handle)?;
        state.run(handle, arguments, config, self.config.rings)
    }

    /// Says what code of an orchestration is at an address of the AICPU: for back-traces, samples
    /// and fault addresses. `None` where no loaded orchestration has it.
    ///
    /// Reads the image anew, so it costs about as much as checking it does. Waits while a run is in
    /// flight.
    pub fn symbolise(&self, address: u64) -> Option<CodeLocation> {
        let state = self.state();
        let loaded = state.device.as_ref()?.loaded_code();
        let range = loaded.into_iter().find(|range| range.contains(address))?;
        let (name, image) = state.registry.image(range.id, range.generation)?;
        Some(CodeLocation::find(&range, name, image, address))
    }

    /// What the last run went through, if the worker has a seed
    /// ([`WorkerConfig::with_interleaving_seed`]).
    pub fn interleaving(&self) -> Option<Interleaving> {
        self.state().device.as_ref()?.interleaving()
    }

    /// What the worker has done so far.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// What the device can hold and do at once.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] where a lost device cannot be replaced.
    pub fn facts(&self) -> Result<DeviceFacts, DeviceError> {
        Ok(self.state().device()?.facts())
    }

    /// What is in use on the device; nothing after it was lost.
    pub fn usage(&self) -> DeviceUsage {
        self.state().device.as_ref().map(|device| device.usage()).unwrap_or_default()
    }

    /// Allocates device memory for `TensorData::Device`, zeroed and aligned to 64 bytes.
    ///
    /// It is gone where the device is lost.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`].
    pub fn allocate(&self, bytes: usize) -> Result<DeviceAddr, DeviceError> {
        Ok(self.state().device()?.allocate(bytes)?)
    }

    /// Frees what [`allocate`](Self::allocate) returned.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`].
    pub fn free(&self, address: DeviceAddr) -> Result<(), DeviceError> {
        Ok(self.state().device()?.free(address)?)
    }

    /// Copies `from` to device memory.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`].
    pub fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), DeviceError> {
        Ok(self.state().device()?.copy_in(to, from)?)
    }

    /// Copies from device memory to `to`.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`].
    pub fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), DeviceError> {
        Ok(self.state().device()?.copy_out(to, from)?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if this worker made the handle and it is still valid.
    fn state_for(&self, handle: &CallableHandle) -> Result<MutexGuard<'_, State>, RunError> {
        if handle.worker != self.serial {
            return Err(RunError::ForeignHandle);
        }
        let mut state = self.state();
        state.registry.entry(handle.id, handle.generation)?;
        Ok(state)
    }
}

impl Opening {
    /// The device, or a fresh one in the place of one that was lost.
    fn ensure<'d>(
        &self,
        device: &'d mut Option<Box<dyn Device>>,
    ) -> Result<&'d mut dyn Device, DeviceError> {
        if device.is_none() {
            *device = Some(self.device()?);
        }
        match device {
            Some(device) => Ok(device.as_mut()),
            None => Err(DeviceError::Gone),
        }
    }

    /// A fresh device.
    fn device(&self) -> Result<Box<dyn Device>, DeviceError> {
        let mut device: Box<dyn Device> = match self.platform {
            PlatformName::A2a3Sim => self.simulator::<A2a3>()?,
            PlatformName::A5Sim => self.simulator::<A5>()?,
        };
        if let Some(lister) = &self.lister {
            device.list_code(Arc::clone(lister));
        }
        Ok(device)
    }

    /// The simulator of a chip.
    fn simulator<C: Chip>(&self) -> Result<Box<dyn Device>, DeviceError> {
        let device = SimDevice::<C>::open_with_seed(self.interleaving_seed)?;
        let device = device.with_unload_limit(self.unload_limit);
        Ok(Box::new(device.with_image_cache(self.image_cache.clone())))
    }
}

impl State {
    /// The device, or a fresh one in the place of one that was lost.
    fn device(&mut self) -> Result<&mut dyn Device, DeviceError> {
        self.opening.ensure(&mut self.device)
    }

    fn run(
        &mut self,
        handle: &CallableHandle,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
        rings: RingConfig,
    ) -> Result<RunReport, RunError> {
        let device = self.opening.ensure(&mut self.device)?;
        config.check(&device.facts())?;
        self.registry
            .place_again(device, handle.id)
            .map_err(|error| RunError::Replacement(Box::new(error)))?;
        let entry = self.registry.entry(handle.id, handle.generation)?;
        let bound = Bound { id: handle.id.raw(), generation: handle.generation };
        let rebind = self.bound.replace(bound) != Some(bound);
        let end = run::execute(device, entry, bound, rebind, arguments, (config, rings));

        entry.loaded |= end.loaded;
        self.counters.loads += u64::from(end.loaded);
        match end.result {
            Ok((tasks, elapsed)) => {
                self.counters.runs += 1;
                let loads = self.counters.loads;
                Ok(RunReport { tasks, loads, loaded: end.loaded, elapsed })
            }
            Err(mut error) => {
                self.name_throw_site(&mut error);
                self.recover(handle, &error);
                Err(error)
            }
        }
    }

    /// Gives up a lost device; what was on it is placed again on the next one when it is used.
    fn forget_device(&mut self) {
        // Dropping a lost device leaves it in memory; nothing else can be done with it.
        self.device = None;
        // ORDERING: Release: who sees the number sees that what was on the device is gone.
        self.losses.fetch_add(1, Ordering::Release);
        self.bound = None;
        self.registry.forget_device();
    }

    /// Draws the conclusions of a failed run for the next one.
    fn recover(&mut self, handle: &CallableHandle, error: &RunError) {
        match error {
            RunError::DeviceLost(_) => self.forget_device(),
            RunError::Fault(fault)
                if matches!(
                    fault.code,
                    Some(StatusCode::CallableNotLoaded | StatusCode::StaleCallable)
                ) =>
            {
                // The executor does not have what we believe it has: have it load again.
                if let Ok(entry) = self.registry.entry(handle.id, handle.generation) {
                    entry.loaded = false;
                }
            }
            _ => {}
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("config", &self.config)
            .field("counters", &self.counters())
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
