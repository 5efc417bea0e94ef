//! What is behind a context handle: a worker, and the client's own ids and pointers.
//!
//! All that this library asks of `host-runner` is asked here.
//!
//! ```text
//!  created ── init ──▶ attached: Worker, callables by the client's id ── finalize ──▶ as created
//! ```
//!
//! Any thread may call anything at any time (spec callable §7.3, R13). Calls that need the device share
//! it; init and finalize have it alone, so finalize waits for the runs in flight, and those end because
//! every run has a time limit. Only an entry that runs in the client's process (hbg) is not broken off by it:
//! one that does not return is waited for, here and by an unregistration of its callable.

use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use host_runner::arguments::Arguments;
use host_runner::callable::Callable;
use host_runner::device::{DeviceError, MemoryError};
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, RegisterError, UnregisterError, Worker, WorkerConfig};
use protocol::{CallableId, ChipStorageTaskArgs, DeviceAddr, MAX_REGISTERED_CALLABLE_IDS};

use crate::failure::Failure;
use crate::submission::Submission;
use crate::tensors::{CopyRule, SpareArguments};
use crate::variant::Variant;

mod report;
mod windows;

pub use report::Counters;
use windows::AttachedWindows;

/// One context of a client.
#[derive(Debug)]
pub struct Context {
    variant: Variant,
    attached: RwLock<Option<Attached>>,
    settings: Mutex<Settings>,
    last_error: Mutex<String>,
    /// Orchestrations that were opened on the host, before the device was opened that is now.
    host_loads: Mutex<u64>,
}

/// What the client has set for later runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    pub(crate) copy_rule: CopyRule,
    pub(crate) limits: RunConfig,
}

/// A device, and what the client has on it.
#[derive(Debug)]
struct Attached {
    device_id: c_int,
    worker: Worker,
    /// By the client's ids, which are the device's too: the worker keeps two from having one.
    callables: Mutex<HashMap<c_int, CallableHandle>>,
    windows: Mutex<AttachedWindows>,
}

/// How a run is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchSize {
    /// Clusters.
    pub block_dim: c_int,
    /// AICPU threads.
    pub aicpu_threads: c_int,
    /// The device that the context is attached to.
    pub device_id: c_int,
}

impl Context {
    /// A context without a device.
    pub fn new(variant: Variant) -> Self {
        Self {
            variant,
            attached: RwLock::new(None),
            settings: Mutex::default(),
            last_error: Mutex::default(),
            host_loads: Mutex::default(),
        }
    }

    /// Opens the device. The second time, the device has to be the same.
    pub(crate) fn init(&self, device_id: c_int) -> Result<(), Failure> {
        if device_id < 0 {
            return Err(Failure::refused(format!("device {device_id} is none; use 0 or more")));
        }
        let mut attached = self.attached.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(attached) = &*attached {
            return attached.check_device(device_id);
        }
        let worker = Worker::open(WorkerConfig::new(self.variant.platform))
            .map_err(|error| Failure::of(&error))?;
        let (callables, windows) = Default::default();
        *attached = Some(Attached { device_id, worker, callables, windows });
        Ok(())
    }

    /// Closes the device after the runs in flight and gives everything back that is left on it.
    pub(crate) fn finalize(&self) {
        // Dropped before the lock is given back: a device of the same number may be opened then.
        let mut attached = self.attached.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(closed) = attached.take() {
            *lock(&self.host_loads) += closed.worker.counters().host_dlopen_count;
        }
    }

    /// Registers a callable under the client's id; nothing stays behind if that fails.
    pub(crate) fn prepare(
        &self,
        cid: c_int,
        read: impl FnOnce() -> Result<Callable, Failure>,
    ) -> Result<(), Failure> {
        let id = checked_id(cid)?;
        self.with_device(|attached| {
            // The worker decides; a callable that is of no use need not be read.
            if lock(&attached.callables).contains_key(&cid) {
                return Err(prepared_already(cid));
            }
            let callable = read()?.for_runtime(self.variant.runtime);
            let registered = attached.worker.register_as(id, &callable);
            let handle = registered.map_err(|error| match error {
                RegisterError::IdInUse { .. } => prepared_already(cid),
                error => Failure::of(&error),
            })?;
            lock(&attached.callables).insert(cid, handle);
            Ok(())
        })
    }

    /// Runs a callable and waits for its end.
    ///
    /// # Safety
    ///
    /// Until this returns, nobody unmaps the memory of the tensors that the record names, nobody else writes to
    /// it, and nobody reads what the callable writes.
    pub(crate) unsafe fn run(
        &self,
        cid: c_int,
        record: &ChipStorageTaskArgs,
        launch: LaunchSize,
    ) -> Result<(), Failure> {
        self.with_device(|attached| {
            let (handle, config, mut arguments) = self.accept(attached, cid, record, launch)?;
            let run = |arguments: &mut Arguments<'_>| {
                let end = attached.worker.run(&handle, arguments, &config);
                end.map(drop).map_err(|error| Failure::of_run(&error))
            };
            // SAFETY: as the caller promises.
            unsafe { arguments.lend(run) }
        })
    }

    /// Has a callable run, and returns at once. Its host tensors are copied now, and written back
    /// when its end is asked for.
    ///
    /// # Safety
    ///
    /// Nobody changes or unmaps the memory of the host tensors during the call.
    pub(crate) unsafe fn submit(
        &self,
        cid: c_int,
        record: &ChipStorageTaskArgs,
        launch: LaunchSize,
    ) -> Result<Arc<Submission>, Failure> {
        self.with_device(|attached| {
            let (handle, config, mut arguments) = self.accept(attached, cid, record, launch)?;
            // SAFETY: as the caller promises.
            let owned = unsafe { arguments.take_copies()? };
            let completion = attached
                .worker
                .submit(&handle, owned, &config)
                .map_err(|error| Failure::of(&error))?;
            Ok(Submission::begin(completion, arguments))
        })
    }

    /// Checks all of a run before any of it happens.
    fn accept(
        &self,
        attached: &Attached,
        cid: c_int,
        record: &ChipStorageTaskArgs,
        launch: LaunchSize,
    ) -> Result<(CallableHandle, RunConfig, SpareArguments), Failure> {
        let handle = attached.prepared(cid)?;
        attached.check_device(launch.device_id)?;
        let settings = self.settings();
        let count = |what, value| {
            u32::try_from(value)
                .map_err(|_| Failure::refused(format!("{what} is {value}; use at least 1")))
        };
        let config = RunConfig {
            block_dim: count("block_dim", launch.block_dim)?,
            aicpu_threads: count("aicpu_thread_num", launch.aicpu_threads)?,
            ..settings.limits
        };
        let mut arguments = SpareArguments::take();
        let (rule, runtime) = (settings.copy_rule, self.variant.runtime);
        arguments.check(record, handle.declared(), rule, runtime)?;
        Ok((handle, config, arguments))
    }

    /// Takes a callable away; one that is not there is no error.
    pub(crate) fn unregister(&self, cid: c_int) -> Result<(), Failure> {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let Some(attached) = &*attached else { return Ok(()) };
        let Some(handle) = lock(&attached.callables).remove(&cid) else { return Ok(()) };
        match attached.worker.unregister(&handle) {
            Ok(()) | Err(UnregisterError::StaleCallable(_)) => Ok(()),
            Err(error) => Err(Failure::of_unregistration(&error)),
        }
    }

    /// Allocates device memory.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<DeviceAddr, Failure> {
        self.with_device(|it| it.worker.allocate(bytes).map_err(|error| Failure::of(&error)))
    }

    /// Frees what [`allocate`](Self::allocate) returned; anything else is left alone.
    pub(crate) fn free(&self, address: DeviceAddr) -> Result<(), Failure> {
        self.with_device(|attached| match attached.worker.free(address) {
            Ok(()) | Err(DeviceError::Memory(MemoryError::UnknownAddress { .. })) => Ok(()),
            Err(error) => Err(Failure::of(&error)),
        })
    }

    /// Copies bytes to device memory.
    pub(crate) fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), Failure> {
        self.with_device(|it| it.worker.copy_in(to, from).map_err(|error| Failure::of(&error)))
    }

    /// Copies bytes from device memory.
    pub(crate) fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), Failure> {
        self.with_device(|it| it.worker.copy_out(to, from).map_err(|error| Failure::of(&error)))
    }

    /// First runs after a preparation since the device was opened; 0 without one.
    pub(crate) fn aicpu_loads(&self) -> u64 {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        attached.as_ref().map_or(0, |attached| attached.worker.counters().aicpu_dlopen_count)
    }

    /// Preparations whose orchestration runs on the host, since the context was made: as in the reference,
    /// closing the device does not reset them (spec callable §3.6).
    pub(crate) fn host_loads(&self) -> u64 {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let now = attached.as_ref().map(|attached| attached.worker.counters().host_dlopen_count);
        *lock(&self.host_loads) + now.unwrap_or_default()
    }

    /// What is set for later runs.
    pub(crate) fn settings(&self) -> Settings {
        *lock(&self.settings)
    }

    /// Changes what is set for later runs.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.settings));
    }

    /// Keeps the text of a failure.
    pub(crate) fn note(&self, failure: &Failure) {
        lock(&self.last_error).clone_from(&failure.text);
    }

    /// The text of the last failure; empty before the first.
    pub(crate) fn last_error(&self) -> String {
        lock(&self.last_error).clone()
    }

    /// Does something with the device, which stays open meanwhile.
    fn with_device<T>(
        &self,
        body: impl FnOnce(&Attached) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        match &*attached {
            Some(attached) => {
                lock(&attached.windows).update(&attached.worker)?;
                body(attached)
            }
            None => Err(Failure::refused("the context has no device; call simpler_init first")),
        }
    }
}

impl Attached {
    fn check_device(&self, device_id: c_int) -> Result<(), Failure> {
        let own = self.device_id;
        if device_id == own {
            return Ok(());
        }
        let text = format!("the context is attached to device {own}, not to {device_id}");
        Err(Failure::refused(text))
    }

    fn prepared(&self, cid: c_int) -> Result<CallableHandle, Failure> {
        let handle = lock(&self.callables).get(&cid).cloned();
        handle.ok_or_else(|| Failure::refused(format!("callable_id={cid} not prepared")))
    }
}

fn prepared_already(cid: c_int) -> Failure {
    Failure::refused(format!("callable_id={cid} is prepared already; unregister it first"))
}

/// An id of the client, which is the device's too, in the range of the reference.
fn checked_id(cid: c_int) -> Result<CallableId, Failure> {
    let limit = MAX_REGISTERED_CALLABLE_IDS;
    CallableId::new(cid.into())
        .ok()
        .filter(|id| id.index() < limit)
        .ok_or_else(|| Failure::refused(format!("callable_id={cid} is not in 0..{limit}")))
}

/// Locks what no panic leaves half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
