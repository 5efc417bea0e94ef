//! A device that callables are on, with what they share there.
//!
//! A worker replaces a device that it has lost. What was placed on the lost one belongs to it and
//! goes with it, so each placement holds the device that it is on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use protocol::{DeviceAddr, FuncId, RuntimeBody};

use super::content::SharedBytes;
use super::orchestrations::Orchestrations;
use super::placement::Placement;
use crate::device::{
    Device, DeviceFacts, DeviceLost, KernelError, MemoryError, OrchestrationError, Uploaded,
};

/// A device and what the callables on it share.
pub struct OpenDevice {
    device: Box<dyn Device>,
    /// What the device is, once somebody has asked.
    facts: OnceLock<DeviceFacts>,
    orchestrations: Mutex<Orchestrations>,
    /// The number of the placement that the run record names, so that a run of the same callable need not write it
    /// again; 0 for none. Used in turn.
    bound: AtomicU64,
    /// The func ids that the run record has kernels for.
    kernels_bound: Mutex<Vec<FuncId>>,
    is_lost: AtomicBool,
    /// How often memory of the user has ended: freed, or detached.
    user_memory_ends: AtomicU64,
}

impl OpenDevice {
    /// Takes a device that nothing is on.
    pub fn new(device: Box<dyn Device>) -> Self {
        Self {
            device,
            facts: OnceLock::new(),
            orchestrations: Mutex::default(),
            bound: AtomicU64::new(0),
            kernels_bound: Mutex::default(),
            is_lost: AtomicBool::new(false),
            user_memory_ends: AtomicU64::new(0),
        }
    }

    /// The device.
    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// What the device is, which does not change.
    pub fn facts(&self) -> &DeviceFacts {
        self.facts.get_or_init(|| self.device.facts())
    }

    /// Notes that the device did not come back: nothing needs to be given back to it.
    pub fn lose(&self) {
        // ORDERING: Relaxed: who does not see it yet gives back what the device does not know any
        // more, which does no harm.
        self.is_lost.store(true, Ordering::Relaxed);
    }

    /// Whether the device did not come back.
    pub fn is_lost(&self) -> bool {
        // ORDERING: Relaxed: see `lose`.
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Gives a reference to a kernel back.
    ///
    /// # Errors
    ///
    /// Its destructors have cost the device.
    pub(super) fn unload_kernel(&self, record: DeviceAddr) -> Result<(), DeviceLost> {
        match self.device.unload_kernel(record) {
            Ok(()) | Err(KernelError::Gone) => {}
            Err(error @ KernelError::NotReturned { .. }) => {
                tracing::warn!(%error, "a kernel was unloaded, but a thread is left in it");
            }
            Err(KernelError::Lost(lost)) => {
                self.lose();
                return Err(lost);
            }
            Err(_unknown) if self.is_lost() => {}
            Err(error) => tracing::error!(%error, "a kernel of the registry is not loaded"),
        }
        Ok(())
    }

    /// Checks that the device can load an orchestration and call its entry, unless it has the same image
    /// and was asked about that entry.
    ///
    /// # Errors
    ///
    /// As [`Device::check_orchestration`].
    pub(super) fn check(&self, image: &SharedBytes, entry: &str) -> Result<(), OrchestrationError> {
        if locked(&self.orchestrations).is_checked(image, entry) {
            return Ok(());
        }
        self.device().check_orchestration(image, entry)
    }

    /// Uploads the image of an orchestration that was [checked](Self::check), or takes another reference
    /// to it.
    pub(super) fn upload(&self, image: &SharedBytes, entry: &str) -> Result<Uploaded, MemoryError> {
        locked(&self.orchestrations).upload(self.device(), image, entry)
    }

    /// Takes back [`upload`](Self::upload).
    pub(super) fn give_back(&self, image: DeviceAddr) {
        let mut orchestrations = locked(&self.orchestrations);
        // Freed under the lock: nobody finds the image between the two.
        if orchestrations.give_back(image) {
            self.free(image);
        }
    }

    /// Frees what is known to be allocated; null is nothing.
    pub(crate) fn free(&self, address: DeviceAddr) {
        if address.is_null() {
            return;
        }
        match self.device.free(address) {
            Ok(()) | Err(MemoryError::Gone) => {}
            Err(_unknown) if self.is_lost() => {}
            Err(error) => {
                tracing::error!(%error, "the registry holds an address that the device does not know");
            }
        }
    }

    /// Notes what the run record names from now on; whether it named something else before. In turn with runs. What
    /// was there and is not any more has a number that does not come again.
    pub(crate) fn rebind(&self, placement: &Placement) -> bool {
        let number = placement.number().get();
        // ORDERING: Relaxed (both): turns order it.
        let is_new = self.bound.load(Ordering::Relaxed) != number;
        if is_new {
            self.bound.store(number, Ordering::Relaxed);
        }
        is_new
    }

    /// Puts the kernels of a callable into the run record, in place of those that were there: a table
    /// of a thousand kernels is not written anew for each callable of a few.
    pub(super) fn bind_kernels(&self, body: &mut RuntimeBody, kernels: &[(FuncId, DeviceAddr)]) {
        let mut bound = locked(&self.kernels_bound);
        for func_id in bound.drain(..) {
            body.func_id_to_addr[func_id.index()] = 0;
        }
        for (func_id, record) in kernels {
            body.func_id_to_addr[func_id.index()] = record.raw();
            bound.push(*func_id);
        }
    }

    /// Frees memory of the user, and no other. In turn with runs.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`].
    pub(crate) fn free_of_user(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        match self.device.check_user_range(address, 0) {
            Err(MemoryError::OutOfRange { .. }) => Err(MemoryError::UnknownAddress { address }),
            checked => {
                self.note_end_of_user_memory();
                checked.and_then(|()| self.device.free(address))
            }
        }
    }

    /// Ends the use of memory that others use too. In turn with runs.
    pub(crate) fn detach(&self, address: DeviceAddr) {
        self.note_end_of_user_memory();
        self.device.detach(address);
    }

    /// How often memory of the user has ended so far: as long as it is the same, an address of it means
    /// the same memory. To be asked in turn with runs.
    pub(crate) fn user_memory_ends(&self) -> u64 {
        // ORDERING: Relaxed: turns order it.
        self.user_memory_ends.load(Ordering::Relaxed)
    }

    fn note_end_of_user_memory(&self) {
        // ORDERING: Relaxed: see `user_memory_ends`.
        self.user_memory_ends.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of distinct orchestration images on it.
    pub fn image_count(&self) -> usize {
        locked(&self.orchestrations).count()
    }
}

impl std::fmt::Debug for OpenDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenDevice").field("is_lost", &self.is_lost()).finish_non_exhaustive()
    }
}

/// Nothing panics between two changes that belong together.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
