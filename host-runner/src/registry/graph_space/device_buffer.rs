//! A piece of device memory that is replaced where it is too small.

use protocol::DeviceAddr;

use crate::device::{Holder, MemoryError};
use crate::registry::OpenDevice;

/// A piece of device memory; given back by [`give_back`](Self::give_back), not by dropping.
#[derive(Debug, Default)]
pub(super) struct DeviceBuffer {
    address: DeviceAddr,
    capacity: usize,
}

impl DeviceBuffer {
    /// Where it is; null before the first use.
    pub(super) fn address(&self) -> DeviceAddr {
        self.address
    }

    /// How many bytes it has.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes it large enough. What was in it is gone if it was not.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]; it is empty then.
    pub(super) fn fit(
        &mut self,
        on: &OpenDevice,
        holder: Holder,
        bytes: usize,
    ) -> Result<(), MemoryError> {
        if !self.address.is_null() && self.capacity >= bytes {
            return Ok(());
        }
        self.give_back(on);
        self.address = on.device().allocate(bytes, holder)?;
        self.capacity = bytes;
        Ok(())
    }

    /// Puts bytes at its start.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub(super) fn fill(
        &mut self,
        on: &OpenDevice,
        holder: Holder,
        bytes: &[u8],
    ) -> Result<(), MemoryError> {
        self.fit(on, holder, bytes.len())?;
        on.device().copy_in(self.address, bytes)
    }

    /// Frees it.
    pub(super) fn give_back(&mut self, on: &OpenDevice) {
        on.free(std::mem::take(self).address);
    }
}
