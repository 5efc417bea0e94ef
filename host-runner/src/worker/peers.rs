//! What a worker gives to a group of workers that share memory (`crate::comm`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::DeviceAddr;

use super::{PlatformName, Worker};
use crate::device::{DeviceError, SharedMemory, Side};

impl Worker {
    /// The platform it was opened with.
    pub fn platform(&self) -> PlatformName {
        self.config.platform
    }

    /// How many devices this worker has lost so far, each to code that did not return. What was
    /// allocated on a lost device is gone; callables are placed again. Does not wait for a run.
    pub fn losses(&self) -> u64 {
        // ORDERING: Acquire: see `State::forget_device`.
        self.losses.load(Ordering::Acquire)
    }

    /// Attaches memory that several devices use; returns [`losses`](Self::losses) as it was for the
    /// device that has it now. Waits while a run is in flight.
    pub(crate) fn attach(
        &self,
        memories: impl IntoIterator<Item = (Arc<SharedMemory>, Side)>,
    ) -> Result<u64, DeviceError> {
        let mut state = self.state();
        let device = state.device()?;
        for (memory, side) in memories {
            device.attach(memory, side);
        }
        Ok(self.losses())
    }

    /// Detaches memory, where the device still has it. Waits while a run is in flight.
    pub(crate) fn detach(&self, addresses: impl IntoIterator<Item = DeviceAddr>) {
        if let Some(device) = &mut self.state().device {
            for address in addresses {
                device.detach(address);
            }
        }
    }
}
