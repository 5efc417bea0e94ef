//! What a worker lets its kernels reach beside its own memory: windows of a communicator.

use std::sync::Arc;

use super::{PlatformName, Worker};
use crate::comm::RankMemory;
use crate::device::DeviceError;

impl Worker {
    /// The platform it was opened with.
    pub fn platform(&self) -> PlatformName {
        self.shared.config.platform
    }

    /// How many devices this worker has lost so far, each to code that did not return. What was
    /// allocated on a lost device is gone; callables are placed again. Does not wait for a run.
    pub fn losses(&self) -> u64 {
        self.shared.devices.losses()
    }

    /// Lets tensors of runs and copies be in the windows of a communicator, and keeps them as long as
    /// kernels may reach them. Returns [`losses`](Self::losses) as it is for the device that has them
    /// now: once that is lost, the next one does not have them.
    ///
    /// Waits while a run is in flight. A second time changes nothing.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] where there is no device yet and it cannot be opened.
    pub fn attach_windows(&self, memory: &RankMemory) -> Result<u64, DeviceError> {
        let (_turn, on) = self.shared.device_in_turn()?;
        if !on.device().reaches_this_process() {
            return Err(DeviceError::Unsupported {
                what: "windows that it shares with other devices",
            });
        }
        // In turn, no run can lose the device between the two.
        for (memory, side) in memory.all() {
            on.device().attach(Arc::clone(memory), side);
        }
        Ok(self.losses())
    }

    /// Ends [`attach_windows`](Self::attach_windows), where the device still has them. Waits while a
    /// run is in flight.
    pub fn detach_windows(&self, memory: &RankMemory) {
        let _turn = self.shared.queue.turn();
        if let Some(on) = self.shared.devices.current() {
            for (memory, _) in memory.all() {
                on.detach(memory.address());
            }
        }
    }
}
