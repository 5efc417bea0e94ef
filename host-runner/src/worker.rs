//! The API of the library: a worker on one device.
//!
//! ```text
//!  register ──▶ CallableHandle ──▶ run, submit, bind … ──▶ unregister
//!                                    └─ Completion ─┘
//! ```
//!
//! Registering puts a callable on the device, has it load the orchestration, and gives a handle;
//! running takes the handle, arguments, and settings, and finds everything in place (spec callable
//! §0). Runs are carried out one at a time, in the order in which they were called or submitted;
//! registering and unregistering do not wait for those of other callables.
//!
//! A run that fails leaves the worker usable. Where the device does not come back, the worker
//! gives it up, takes a fresh one for the next use, and puts the callables on it again.
//!
//! | file | what |
//! |---|---|
//! | `shared` | what worker, handles and submitted runs share: the life of a run and of a registration |
//! | `handle` | counted leases of a registration |
//! | `submission`, `bound_call` | runs that nobody waits for, and arguments that are packed once |
//! | `recording` | runs that are done again without their orchestration |
//! | `devices` | the device, and the one that takes its place |
//! | `device_memory`, `memory_report` | the user's memory on the device; what is held, and by whom |

use std::sync::Arc;
use std::time::Duration;

use protocol::CallableId;

use crate::arguments::{Arguments, OwnedArguments};
use crate::callable::Callable;
use crate::code_listing::CodeLister;
use crate::completion::{Completion, Spares};
use crate::device::{Device, DeviceError, DeviceFacts, DeviceUsage};
use crate::registry::{Registry, Unregistered};
use crate::run::GraphSource;
use crate::run_queue::RunQueue;

mod bound_call;
mod code_location;
mod config;
mod counters;
mod device_memory;
mod devices;
mod handle;
mod memory_report;
mod peers;
mod recording;
mod shared;
mod submission;
mod throw_site;

pub use crate::code_listing::CodeListing;
pub use crate::device::{Interleaving, RingConfig};
pub use crate::platform_name::{PlatformName, UnknownPlatform};
pub use crate::registry::{GraphReport, RegisterError, StaleCallable, UnregisterError};
pub use crate::run::{
    RecordError, ReplayError, RunConfig, RunError, RunFault, RunReport, TensorShape,
};
pub use bound_call::BoundCall;
pub use code_location::{BuildId, CodeLocation};
pub use config::{DeviceStart, IN_FLIGHT_BYTES_DEFAULT, WorkerConfig, WorkerError};
pub use counters::Counters;
pub use handle::CallableHandle;
pub use memory_report::{MemoryReport, MemoryUse, QueueReport};
pub use recording::Recording;
pub use submission::{RunCompletion, RunOutput, SubmitError, SubmitRefusal};

use counters::Counting;
use devices::{Devices, Opener};
use shared::Shared;

/// A device with its registered callables; to be used from any thread.
///
/// Dropping it refuses the runs that wait, lets the one in flight end, and gives everything back, on
/// the device, its threads, and of orchestrations in this process (hbg). An entry of those that does not
/// return is waited for: it works on memory of the caller, and nothing can stop it. Handles, bound calls
/// and recordings may outlive it, and are refused then; so may completions, which still give what they
/// have.
pub struct Worker {
    shared: Arc<Shared>,
}

impl Worker {
    /// Opens a device, now or at its first use ([`DeviceStart`]).
    ///
    /// # Errors
    ///
    /// [`WorkerError`].
    pub fn open(config: WorkerConfig) -> Result<Self, WorkerError> {
        let lister = CodeLister::open(&config.code_listing)?;
        let open = devices::opener(&config, lister.clone());
        Self::with_opener(config, lister, open)
    }

    /// Opens a worker on devices of another kind: `open` is called for the first one, and for each
    /// that takes the place of a lost one. The platform of the settings is what they say they are.
    ///
    /// # Errors
    ///
    /// [`WorkerError`].
    pub fn open_on(
        config: WorkerConfig,
        open: impl Fn() -> Result<Box<dyn Device>, DeviceError> + Send + Sync + 'static,
    ) -> Result<Self, WorkerError> {
        let lister = CodeLister::open(&config.code_listing)?;
        Self::with_opener(config, lister, Box::new(open))
    }

    fn with_opener(
        config: WorkerConfig,
        lister: Option<Arc<CodeLister>>,
        open: Opener,
    ) -> Result<Self, WorkerError> {
        config.check()?;
        crate::log::forward();
        let shared = Arc::new(Shared {
            lister,
            devices: Devices::new(open),
            registry: Registry::default(),
            queue: RunQueue::new(config.in_flight_limit()),
            completions: Spares::new(submission::unfinished),
            counting: Counting::default(),
            config,
        });
        if shared.config.device_start == DeviceStart::AtOnce {
            shared.devices.ensure()?;
        }
        Ok(Self { shared })
    }

    /// Registers a callable under the smallest free id. Afterwards it is on the device and loaded,
    /// ready to be run any number of times.
    ///
    /// Does not wait for runs. The constructors of the orchestration run on the device (trb) or in this
    /// process (hbg), and have [`WorkerConfig::unload_limit`] for it.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]; nothing stays behind then.
    pub fn register(&self, callable: &Callable) -> Result<CallableHandle, RegisterError> {
        let registration = self.shared.register(None, callable)?;
        Ok(CallableHandle::new(Arc::clone(&self.shared), registration))
    }

    /// Registers a callable under an id of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register), [`RegisterError::IdInUse`] and
    /// [`RegisterError::IdOutOfRange`].
    pub fn register_as(
        &self,
        id: CallableId,
        callable: &Callable,
    ) -> Result<CallableHandle, RegisterError> {
        let registration = self.shared.register(Some(id), callable)?;
        Ok(CallableHandle::new(Arc::clone(&self.shared), registration))
    }

    /// Unregisters a callable and gives back everything that it had on the device. Every handle of
    /// this registration is stale from now on; the id becomes free.
    ///
    /// Waits for the runs of the callable that were accepted before, not for others: also for an entry on
    /// the host (hbg), which nothing can stop. The destructors of the orchestration run on the device (trb)
    /// or in this process (hbg), and have [`WorkerConfig::unload_limit`] for it.
    ///
    /// # Errors
    ///
    /// [`UnregisterError`]. [`UnregisterError::DeviceLost`] where a destructor does not return: the
    /// callable is unregistered all the same, and the next run gets a fresh device. Of an orchestration on
    /// the host, that is [`UnregisterError::HostOrchestration`], and the device goes on.
    pub fn unregister(&self, handle: &CallableHandle) -> Result<(), UnregisterError> {
        self.check_owner(handle).map_err(|_| UnregisterError::ForeignHandle)?;
        if self.shared.queue.is_inside() {
            return Err(UnregisterError::FromRun);
        }
        let ended = self.shared.begin_unregister(handle.callable())?;
        ended.wait()
    }

    /// As [`unregister`](Self::unregister), without waiting for runs: they end, and then everything
    /// is given back, which the completion tells. Where no run is in flight, that is done here.
    ///
    /// # Errors
    ///
    /// [`UnregisterError::ForeignHandle`] and [`UnregisterError::StaleCallable`].
    pub fn begin_unregister(
        &self,
        handle: &CallableHandle,
    ) -> Result<Completion<Unregistered>, UnregisterError> {
        self.check_owner(handle).map_err(|_| UnregisterError::ForeignHandle)?;
        self.shared.begin_unregister(handle.callable())
    }

    /// Runs of a callable that were accepted and have not ended.
    pub fn runs_in_flight(&self, handle: &CallableHandle) -> u64 {
        handle.callable().gate().leases()
    }

    /// Runs a callable and waits for its end. Outputs are written only if it succeeds.
    ///
    /// Works on the caller's thread, after everything that was called or submitted before.
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
        self.check_owner(handle)?;
        self.shared.run(handle.callable(), arguments, config, &mut GraphSource::Entry)
    }

    /// Runs a callable of hbg as [`run`](Self::run) does, and keeps what its orchestration did, to be
    /// done again without it.
    ///
    /// # Errors
    ///
    /// [`RunError`]; [`RunError::NotRecordable`] where the run cannot be done again: outputs are
    /// untouched then.
    pub fn record(
        &self,
        handle: &CallableHandle,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<(Recording, RunReport), RunError> {
        self.check_owner(handle)?;
        Recording::make(handle, arguments, config)
    }

    /// Has a callable run after everything that was called or submitted before, and returns at once.
    /// Any number may be in flight, as long as their arguments hold no more than
    /// [`WorkerConfig::in_flight_bytes`] together.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; nothing was accepted then.
    pub fn submit(
        &self,
        handle: &CallableHandle,
        arguments: OwnedArguments,
        config: &RunConfig,
    ) -> Result<RunCompletion, SubmitError> {
        self.submit_own(handle, arguments, config, None)
    }

    /// As [`submit`](Self::submit), and waits at most `limit` for room.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_within(
        &self,
        handle: &CallableHandle,
        arguments: OwnedArguments,
        config: &RunConfig,
        limit: Duration,
    ) -> Result<RunCompletion, SubmitError> {
        self.submit_own(handle, arguments, config, Some(limit))
    }

    /// Submits a run, if this worker made the handle.
    fn submit_own(
        &self,
        handle: &CallableHandle,
        arguments: OwnedArguments,
        config: &RunConfig,
        wait: Option<Duration>,
    ) -> Result<RunCompletion, SubmitError> {
        match self.check_owner(handle) {
            Ok(()) => submission::submit(handle, arguments, config, wait),
            Err(error) => Err(SubmitError { why: error.into(), arguments: Box::new(arguments) }),
        }
    }

    /// Binds a callable to arguments and settings, to be run any number of times.
    ///
    /// # Errors
    ///
    /// [`RunError::ForeignHandle`] and [`RunError::StaleCallable`].
    pub fn bind(
        &self,
        handle: &CallableHandle,
        arguments: OwnedArguments,
        config: &RunConfig,
    ) -> Result<BoundCall, RunError> {
        self.check_owner(handle)?;
        if handle.is_stale() {
            return Err(handle.callable().stale().into());
        }
        Ok(BoundCall::new(handle.clone(), arguments, *config))
    }

    /// Says what code of an orchestration is at an address of the AICPU: for back-traces, samples
    /// and fault addresses. `None` where no loaded orchestration has it.
    ///
    /// Reads the image anew, so it costs about as much as checking it does.
    pub fn symbolise(&self, address: u64) -> Option<CodeLocation> {
        let on = self.shared.devices.current()?;
        let loaded = on.device().loaded_code();
        let range = loaded.into_iter().find(|range| range.contains(address))?;
        let callable = self.shared.registry.find_loaded(range.id, range.generation)?;
        Some(CodeLocation::find(&range, callable.name(), callable.image(), address))
    }

    /// What the last run went through, if the worker has a seed
    /// ([`WorkerConfig::with_interleaving_seed`]).
    pub fn interleaving(&self) -> Option<Interleaving> {
        self.shared.devices.current()?.device().interleaving()
    }

    /// What the worker has done so far.
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }

    /// What the device can hold and do at once.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] where there is no device yet and it cannot be opened.
    pub fn facts(&self) -> Result<DeviceFacts, DeviceError> {
        Ok(self.shared.devices.ensure()?.device().facts())
    }

    /// What is in use on the device; nothing where there is none.
    pub fn usage(&self) -> DeviceUsage {
        let device = self.shared.devices.current();
        device.map(|on| on.device().usage()).unwrap_or_default()
    }

    /// Whether this worker made the handle.
    fn check_owner(&self, handle: &CallableHandle) -> Result<(), RunError> {
        if Arc::ptr_eq(handle.shared(), &self.shared) {
            Ok(())
        } else {
            Err(RunError::ForeignHandle)
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("config", &self.shared.config)
            .field("counters", &self.counters())
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
