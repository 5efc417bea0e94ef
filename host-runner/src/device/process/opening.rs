//! The program of a device is started, and opens the device.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use protocol::Chip;

use super::calls::Calls;
use super::child::Child;
use super::host_memory::HostMemory;
use super::images::Images;
use super::layout::{Control, ControlFile, LAYOUT};
use super::message::{Answer, Settings};
use super::{DeviceSettings, ProcessDevice, ProcessSettings};
use crate::device::resident_symbols::ResidentSymbols;
use crate::device::shared_file::SharedFile;
use crate::device::{DeviceError, DeviceFacts};

/// Device memory of a program of this machine. Pages that are not touched cost nothing.
const MEMORY_BYTES: usize = 32 << 30;
/// The same where an emulator keeps account of every page.
const EMULATED_MEMORY_BYTES: usize = 3 << 30;

impl<C: Chip> ProcessDevice<C> {
    /// Starts the program, and has it open the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Program`], and what else the device is refused by.
    pub fn open(settings: &ProcessSettings, device: &DeviceSettings) -> Result<Self, DeviceError> {
        // Names of C++ functions in messages are made readable by its library.
        ResidentSymbols::open();
        let system = |what| move |source| DeviceError::System { what, source };
        let bytes = if settings.is_emulated() { EMULATED_MEMORY_BYTES } else { MEMORY_BYTES };
        let memory =
            SharedFile::new("device-memory", bytes).map_err(system("memory for a device"))?;
        let control = SharedFile::new("device-control", ControlFile::bytes_for::<C>());
        let control = control.map_err(system("memory to talk to its program"))?;
        let control = ControlFile::new(control).ok_or(DeviceError::Gone)?;
        let head = control.control();
        // ORDERING: Relaxed: the program starts later.
        head.layout.store(LAYOUT, Ordering::Relaxed);
        // CAST: a few megabytes.
        head.bytes.store(size_of::<Control>() as u32, Ordering::Relaxed);
        let control = Arc::new(control);
        let command = settings.command(C::NAME)?;
        let child = Child::start(command, Arc::clone(&control), &memory)?;
        let unload_limit = match device.unload_limit {
            Duration::ZERO => crate::device::sim::UNLOAD_LIMIT_DEFAULT,
            limit => limit.min(crate::run::TIMEOUT_MAX),
        };
        let calls = Calls::new(child, control, unload_limit, settings.is_emulated())?;
        let opened = calls.open(Settings {
            interleaving_seed: device.interleaving_seed,
            unload_limit,
            cores_used: device.cores_used,
            is_emulated: settings.is_emulated(),
        })?;
        let Answer::Opened { memory: base, clusters_max, aicpu_threads_max, callable_ids } = opened
        else {
            return Err(DeviceError::Program {
                reason: "it says nothing of its device".to_owned(),
            });
        };
        let facts = DeviceFacts { chip: C::NAME, clusters_max, aicpu_threads_max, callable_ids };
        let memory = HostMemory::new(Arc::new(memory), base);
        let (images, settings) = (Images::default(), settings.clone());
        Ok(Self { calls, memory, facts, images, settings, wreck: OnceLock::new() })
    }
}
