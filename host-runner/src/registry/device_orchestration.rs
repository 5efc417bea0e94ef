//! An orchestration that the device runs (trb): its image, its place in the executor, and the buffers of
//! its runs.

use std::cell::RefCell;

use protocol::callable::parse::ChipCallableView;
use protocol::{DeviceAddr, RuntimeBody, SYMBOL_NAME_BYTES};

use super::content::SharedBytes;
use super::open_device::OpenDevice;
use super::placement::Identity;
use super::tensor_buffers::TensorBuffers;
use crate::device::{DeviceError, DeviceLost, MemoryError, OrchestrationLoad};

/// An orchestration on a device. What it has there is given back by [`give_back`](Self::give_back).
#[derive(Debug)]
pub(crate) struct DeviceOrchestration {
    image: DeviceAddr,
    image_bytes: u64,
    entry_symbol: [u8; SYMBOL_NAME_BYTES],
    config_symbol: [u8; SYMBOL_NAME_BYTES],
    /// Whether the executor has it.
    is_loaded: bool,
    /// For the tensors of its runs: who has the placement locked has them, too.
    pub(crate) buffers: RefCell<TensorBuffers>,
}

impl DeviceOrchestration {
    /// The orchestration of a callable, on no device yet.
    pub(super) fn of(callable: &ChipCallableView<'_>) -> Self {
        Self {
            image: DeviceAddr::NULL,
            // CAST: usize is at most 64 bits.
            image_bytes: callable.orchestration().len() as u64,
            entry_symbol: padded(callable.entry_symbol()),
            config_symbol: padded(callable.config_symbol()),
            is_loaded: false,
            buffers: RefCell::default(),
        }
    }

    /// Puts the image on the device, which has checked it for its entry; whether it was there.
    ///
    /// # Errors
    ///
    /// [`MemoryError`].
    pub(super) fn upload(
        &mut self,
        on: &OpenDevice,
        image: &SharedBytes,
        entry: &str,
    ) -> Result<bool, MemoryError> {
        let uploaded = on.upload(image, entry)?;
        self.image = uploaded.address;
        Ok(uploaded.was_there)
    }

    /// Has the device load it; it has run its constructors when this succeeds.
    ///
    /// # Errors
    ///
    /// As `Device::load_orchestration`.
    pub(super) fn load(&mut self, on: &OpenDevice, identity: Identity) -> Result<(), DeviceError> {
        let Identity { id, generation, digest_prefix } = identity;
        on.device().load_orchestration(&OrchestrationLoad {
            id,
            generation,
            digest_prefix,
            address: self.image,
            bytes: self.image_bytes,
            entry_symbol: &self.entry_symbol,
            config_symbol: &self.config_symbol,
        })?;
        self.is_loaded = true;
        Ok(())
    }

    /// Has the device unload it, if it has loaded it.
    ///
    /// # Errors
    ///
    /// A destructor does not return; the device is lost.
    pub(super) fn unload(&mut self, on: &OpenDevice, identity: Identity) -> Result<(), DeviceLost> {
        if !std::mem::take(&mut self.is_loaded) {
            return Ok(());
        }
        let unloaded = on.device().unload_orchestration(identity.id, identity.generation);
        unloaded.inspect_err(|_lost| on.lose())
    }

    /// Writes into a run record what names it.
    pub(super) fn bind(&self, body: &mut RuntimeBody) {
        body.dev_orch_so_addr = self.image;
        body.dev_orch_so_size = self.image_bytes;
        // Most have the same names.
        for (to, from) in [
            (&mut body.device_orch_func_name, &self.entry_symbol),
            (&mut body.device_orch_config_name, &self.config_symbol),
        ] {
            if to != from {
                *to = *from;
            }
        }
    }

    /// Frees buffers and image. It is unloaded.
    pub(super) fn give_back(&mut self, on: &OpenDevice) {
        self.buffers.get_mut().give_back(on);
        if !self.image.is_null() {
            on.give_back(self.image);
        }
    }
}

/// A name as the run record holds it; the parser has checked that it fits with its NUL.
fn padded(name: &str) -> [u8; SYMBOL_NAME_BYTES] {
    let mut field = [0; SYMBOL_NAME_BYTES];
    for (to, from) in field.iter_mut().zip(name.as_bytes()) {
        *to = *from;
    }
    field
}
