//! The buffers on the device for the tensors of a callable's runs, and what is known of the ranges that
//! its runs use.
//!
//! A range of device memory is looked up once and then known until memory has been freed or the device
//! was lost ([`Device::memory_epoch`]): a run with the tensors of the one before looks nothing up.

use std::sync::Arc;

use protocol::{CallableId, DeviceAddr};

use super::open_device::OpenDevice;
use crate::device::{Device, Holder, MemoryError, PinnedMemory};

/// What the runs of a callable have on the device for one tensor.
#[derive(Debug, Default)]
pub(crate) struct TensorBuffer {
    /// Where the buffer is; null before the first use.
    address: DeviceAddr,
    /// How many bytes fit.
    capacity: usize,
    /// The buffer, if it is known to be there.
    pinned: Option<Arc<dyn PinnedMemory>>,
    /// A range of the user that is known to be there, for a tensor that is on the device.
    of_user: Option<(DeviceAddr, usize)>,
    /// Whether the run writes a tensor of the host there.
    pub(crate) is_written: bool,
}

/// One for each tensor, kept from run to run.
#[derive(Debug, Default)]
pub(crate) struct TensorBuffers {
    list: Vec<TensorBuffer>,
    /// As of when the ranges are known.
    epoch: Option<u64>,
}

impl TensorBuffers {
    /// Begins a run: what is known of ranges is forgotten unless it still holds.
    pub(crate) fn begin_run(&mut self, device: &dyn Device) {
        let now = device.memory_epoch();
        if now.is_some() && now == self.epoch {
            return;
        }
        for buffer in &mut self.list {
            (buffer.pinned, buffer.of_user) = (None, None);
        }
        self.epoch = now;
    }

    /// The buffers of the first `count` tensors.
    #[inline]
    pub(crate) fn first(&mut self, count: usize) -> &mut [TensorBuffer] {
        if self.list.len() < count {
            self.list.resize_with(count, TensorBuffer::default);
        }
        &mut self.list[..count]
    }

    /// All of them, in the order of the tensors.
    pub(crate) fn all(&mut self) -> &mut [TensorBuffer] {
        &mut self.list
    }

    /// Frees them.
    pub(super) fn give_back(&mut self, on: &OpenDevice) {
        for buffer in self.list.drain(..) {
            on.free(buffer.address);
        }
    }
}

impl TensorBuffer {
    /// Where it is; null before the first use.
    pub(crate) fn address(&self) -> DeviceAddr {
        self.address
    }

    /// Makes it large enough for a tensor of a callable.
    ///
    /// # Errors
    ///
    /// As [`Device::allocate`].
    #[inline]
    pub(crate) fn fit(
        &mut self,
        on: &OpenDevice,
        callable: CallableId,
        bytes: usize,
    ) -> Result<(), MemoryError> {
        if !self.address.is_null() && self.capacity >= bytes {
            return Ok(());
        }
        self.replace(on, callable, bytes)
    }

    /// Allocates it anew.
    #[cold]
    fn replace(
        &mut self,
        on: &OpenDevice,
        callable: CallableId,
        bytes: usize,
    ) -> Result<(), MemoryError> {
        on.free(core::mem::take(self).address);
        let address = on.device().allocate(bytes, Holder::Tensors(callable))?;
        *self = Self { address, capacity: bytes, ..Self::default() };
        Ok(())
    }

    /// Copies a tensor in, which fits.
    ///
    /// # Errors
    ///
    /// As [`Device::copy_in`].
    pub(crate) fn copy_in(&mut self, device: &dyn Device, from: &[u8]) -> Result<(), MemoryError> {
        match self.pinned(device) {
            Some(pinned) => pinned.copy_in(0, from),
            None => device.copy_in(self.address, from),
        }
    }

    /// Copies a tensor out, which fits.
    ///
    /// # Errors
    ///
    /// As [`Device::copy_out`].
    pub(crate) fn copy_out(
        &mut self,
        device: &dyn Device,
        to: &mut [u8],
    ) -> Result<(), MemoryError> {
        match self.pinned(device) {
            Some(pinned) => pinned.copy_out(0, to),
            None => device.copy_out(to, self.address),
        }
    }

    /// The memory of the buffer, if the device can name it; looked up where it is not known.
    fn pinned(&mut self, device: &dyn Device) -> Option<&dyn PinnedMemory> {
        if self.pinned.is_none() {
            self.pinned = device.pin(self.address);
        }
        self.pinned.as_deref()
    }

    /// Checks a range that the user names for the tensor.
    ///
    /// # Errors
    ///
    /// As [`Device::check_user_range`].
    pub(crate) fn check_user_range(
        &mut self,
        device: &dyn Device,
        address: DeviceAddr,
        bytes: usize,
    ) -> Result<(), MemoryError> {
        if self.of_user != Some((address, bytes)) {
            device.check_user_range(address, bytes)?;
            self.of_user = Some((address, bytes));
        }
        Ok(())
    }
}
