//! What a worker gives to a group of workers that share memory (`crate::comm`).

use std::sync::Arc;

use protocol::DeviceAddr;

use super::{PlatformName, Worker};
use crate::device::{DeviceError, SharedMemory, Side};

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

    /// Attaches memory that several devices use; returns [`losses`](Self::losses) as it was for the
    /// device that has it now. Waits while a run is in flight.
    pub(crate) fn attach(
        &self,
        memories: impl IntoIterator<Item = (Arc<SharedMemory>, Side)>,
    ) -> Result<u64, DeviceError> {
        let (_turn, on) = self.shared.device_in_turn()?;
        // In turn, no run can lose the device between the two.
        for (memory, side) in memories {
            on.device().attach(memory, side);
        }
        Ok(self.losses())
    }

    /// Detaches memory, where the device still has it. Waits while a run is in flight.
    pub(crate) fn detach(&self, addresses: impl IntoIterator<Item = DeviceAddr>) {
        let _turn = self.shared.queue.turn();
        if let Some(on) = self.shared.devices.current() {
            for address in addresses {
                on.device().detach(address);
            }
        }
    }
}
