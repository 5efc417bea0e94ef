//! The user's memory on the device.
//!
//! Allocating does not wait for runs. Freeing and copying take their turn with them, in the order of
//! the calls: what a run that was called or submitted before uses does not change under it.

use protocol::DeviceAddr;

use super::Worker;
use super::shared::again_where_gone;
use crate::device::{DeviceError, Holder};

impl Worker {
    /// Allocates device memory for `TensorData::Device`, zeroed and aligned to 64 bytes.
    ///
    /// It is gone where the device is lost.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`].
    pub fn allocate(&self, bytes: usize) -> Result<DeviceAddr, DeviceError> {
        let devices = &self.shared.devices;
        let is_gone = |error: &DeviceError| matches!(error, DeviceError::Gone);
        again_where_gone(is_gone, || {
            let on = devices.ensure()?;
            let allocated = on.device().allocate(bytes, Holder::User);
            let allocated = allocated.map_err(DeviceError::from);
            allocated.inspect_err(|error| {
                if is_gone(error) {
                    devices.forget(&on);
                }
            })
        })
    }

    /// Frees what [`allocate`](Self::allocate) returned, and nothing else: not what belongs to a
    /// callable, and not what was freed before.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`], and [`DeviceError::NoTurn`] from within a run.
    pub fn free(&self, address: DeviceAddr) -> Result<(), DeviceError> {
        let (_turn, on) = self.shared.device_in_turn()?;
        Ok(on.free_of_user(address)?)
    }

    /// Copies `from` to device memory.
    ///
    /// # Errors
    ///
    /// As [`free`](Self::free); a range must lie inside one allocation of the user, or inside a window.
    pub fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), DeviceError> {
        let (_turn, on) = self.shared.device_in_turn()?;
        on.device().check_user_range(to, from.len())?;
        Ok(on.device().copy_in(to, from)?)
    }

    /// Copies from device memory to `to`.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), DeviceError> {
        let (_turn, on) = self.shared.device_in_turn()?;
        on.device().check_user_range(from, to.len())?;
        Ok(on.device().copy_out(to, from)?)
    }
}
