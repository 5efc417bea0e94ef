//! Orchestration images on the device, shared by equal bytes.
//!
//! Equal means equal in full: a Build-ID can be the same in different files (spec callable §7.1
//! H6), so it only serves for a warning.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::DeviceAddr;
use protocol::build_id::find_build_id;

use crate::device::{Device, MemoryError};

use super::free_quietly;

/// One image.
#[derive(Debug)]
struct Image {
    address: DeviceAddr,
    references: usize,
}

/// All images of a registry.
#[derive(Debug, Default)]
pub struct Orchestrations {
    by_bytes: HashMap<Arc<[u8]>, Image>,
}

impl Orchestrations {
    /// Uploads an image, or takes another reference to one with the same bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]; nothing stays behind then.
    pub fn upload(
        &mut self,
        device: &mut dyn Device,
        bytes: &[u8],
    ) -> Result<DeviceAddr, MemoryError> {
        if let Some(image) = self.by_bytes.get_mut(bytes) {
            image.references += 1;
            return Ok(image.address);
        }
        if let Some(build_id) = find_build_id(bytes)
            && self.by_bytes.keys().any(|other| find_build_id(other) == Some(build_id))
        {
            tracing::warn!(?build_id, "two different orchestrations have the same Build-ID");
        }
        let address = device.allocate(bytes.len())?;
        if let Err(error) = device.copy_in(address, bytes) {
            free_quietly(device, address);
            return Err(error);
        }
        self.by_bytes.insert(bytes.into(), Image { address, references: 1 });
        Ok(address)
    }

    /// Gives one reference to the image at `address` back.
    pub fn give_back(&mut self, device: &mut dyn Device, address: DeviceAddr) {
        let found = self.by_bytes.iter_mut().find(|(_, image)| image.address == address);
        let Some((bytes, image)) = found else { return };
        image.references -= 1;
        if image.references == 0 {
            let bytes = Arc::clone(bytes);
            self.by_bytes.remove(&bytes);
            free_quietly(device, address);
        }
    }

    /// Number of distinct images.
    pub fn count(&self) -> usize {
        self.by_bytes.len()
    }
}
