//! The device of a worker, and the one that takes its place after it was lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{A2a3, A5, Chip};

use super::WorkerConfig;
use crate::code_listing::{CodeLister, CodeListing};
use crate::device::cann::{CannChip, CannDevice};
use crate::device::process::{DeviceSettings, ProcessDevice};
use crate::device::sim::SimDevice;
use crate::device::{Device, DeviceError};
use crate::platform_name::PlatformName;
use crate::registry::OpenDevice;

/// How a device is opened, and again after it was lost.
pub(super) type Opener = Box<dyn Fn() -> Result<Box<dyn Device>, DeviceError> + Send + Sync>;

/// The device of a worker.
pub(super) struct Devices {
    open: Opener,
    /// `None` before the first use, after a loss until the next use, and when the worker is closed.
    current: Mutex<Option<Arc<OpenDevice>>>,
    losses: AtomicU64,
}

impl Devices {
    /// Opens nothing yet.
    pub(super) fn new(open: Opener) -> Self {
        Self { open, current: Mutex::default(), losses: AtomicU64::new(0) }
    }

    /// The device, opened now if there is none, or none but one that was lost or has ended.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    pub(super) fn ensure(&self) -> Result<Arc<OpenDevice>, DeviceError> {
        let mut current = self.lock();
        if let Some(open) = &*current {
            if open.device().has_ended() {
                // No call has found out yet. Who still has something on it is told at once.
                open.lose();
            }
            if !open.is_lost() {
                return Ok(Arc::clone(open));
            }
        }
        self.give_up(&mut current);
        let open = Arc::new(OpenDevice::new((self.open)()?));
        *current = Some(Arc::clone(&open));
        Ok(open)
    }

    /// The device, if there is one.
    pub(super) fn current(&self) -> Option<Arc<OpenDevice>> {
        self.lock().clone()
    }

    /// Gives a device up that did not come back; the next use opens another one.
    pub(super) fn forget(&self, lost: &Arc<OpenDevice>) {
        lost.lose();
        let mut current = self.lock();
        if current.as_ref().is_some_and(|open| Arc::ptr_eq(open, lost)) {
            self.give_up(&mut current);
        }
    }

    /// Counts the device as lost, if there is one.
    fn give_up(&self, current: &mut Option<Arc<OpenDevice>>) {
        if current.take().is_some() {
            // ORDERING: Release: who sees the number sees that what was on the device is gone.
            self.losses.fetch_add(1, Ordering::Release);
        }
    }

    /// Closes the device.
    pub(super) fn close(&self) {
        let device = self.lock().take();
        drop(device);
    }

    /// How many devices were lost so far.
    pub(super) fn losses(&self) -> u64 {
        // ORDERING: Acquire: see `give_up`.
        self.losses.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<OpenDevice>>> {
        // Nothing panics between two changes that belong together.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the device that the settings ask for is opened.
pub(super) fn opener(config: &WorkerConfig, lister: Option<Arc<CodeLister>>) -> Opener {
    let config = config.clone();
    Box::new(move || {
        let device: Box<dyn Device> = match config.platform {
            PlatformName::A2a3Sim => simulator::<A2a3>(&config)?,
            PlatformName::A5Sim => simulator::<A5>(&config)?,
            PlatformName::A2a3Proc => process::<A2a3>(&config)?,
            PlatformName::A5Proc => process::<A5>(&config)?,
            PlatformName::A2a3 => chip::<A2a3>(&config)?,
            PlatformName::A5 => chip::<A5>(&config)?,
        };
        if let Some(lister) = &lister {
            device.list_code(Arc::clone(lister));
        }
        Ok(device)
    })
}

/// The simulator of a chip.
fn simulator<C: Chip>(config: &WorkerConfig) -> Result<Box<dyn Device>, DeviceError> {
    let device = SimDevice::<C>::open_with_seed(config.interleaving_seed)?;
    let device = device.with_unload_limit(config.unload_limit).with_cores_used(config.cores_used);
    Ok(Box::new(device.with_image_cache(config.image_cache.clone())))
}

/// The chip itself.
fn chip<C: CannChip>(config: &WorkerConfig) -> Result<Box<dyn Device>, DeviceError> {
    refuse_code_listing(config)?;
    if config.interleaving_seed.is_some() {
        return Err(DeviceError::Unsupported { what: "interleavings that a seed decides" });
    }
    let device = CannDevice::<C>::open(&config.cann)?;
    Ok(Box::new(device.with_unload_limit(config.unload_limit)))
}

/// The simulator of a chip, in a process of its own.
fn process<C: Chip>(config: &WorkerConfig) -> Result<Box<dyn Device>, DeviceError> {
    refuse_code_listing(config)?;
    let settings = DeviceSettings {
        interleaving_seed: config.interleaving_seed,
        unload_limit: config.unload_limit,
        cores_used: config.cores_used,
    };
    Ok(Box::new(ProcessDevice::<C>::open(&config.process, &settings)?))
}

/// Of a device whose code is not in this process, there is nothing to show.
fn refuse_code_listing(config: &WorkerConfig) -> Result<(), DeviceError> {
    if config.code_listing == CodeListing::default() {
        Ok(())
    } else {
        Err(DeviceError::Unsupported { what: "code that tools could be shown" })
    }
}
