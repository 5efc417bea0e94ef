//! Orchestration images on the device, shared by equal bytes.

use std::collections::HashMap;

use protocol::DeviceAddr;

use crate::device::{Device, Holder, MemoryError};

use super::content::{ContentId, ContentIndex};
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
    contents: ContentIndex,
    images: HashMap<ContentId, Image>,
}

impl Orchestrations {
    /// Uploads an image, or takes another reference to one with the same bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]; nothing stays behind then.
    pub fn upload(&mut self, device: &dyn Device, bytes: &[u8]) -> Result<DeviceAddr, MemoryError> {
        let content = self.contents.insert(bytes);
        if let Some(image) = self.images.get_mut(&content) {
            image.references += 1;
            return Ok(image.address);
        }
        let address = copy_to(device, bytes).inspect_err(|_refused| {
            self.contents.remove(content);
        })?;
        self.images.insert(content, Image { address, references: 1 });
        Ok(address)
    }

    /// Gives one reference to the image at `address` back.
    pub fn give_back(&mut self, device: &dyn Device, address: DeviceAddr) {
        let found = self.images.iter_mut().find(|(_, image)| image.address == address);
        let Some((&content, image)) = found else { return };
        image.references -= 1;
        if image.references == 0 {
            self.images.remove(&content);
            self.contents.remove(content);
            free_quietly(device, address);
        }
    }

    /// Number of distinct images.
    pub fn count(&self) -> usize {
        self.contents.len()
    }
}

/// Copies bytes to memory of their own.
fn copy_to(device: &dyn Device, bytes: &[u8]) -> Result<DeviceAddr, MemoryError> {
    let address = device.allocate(bytes.len(), Holder::Orchestration)?;
    if let Err(error) = device.copy_in(address, bytes) {
        free_quietly(device, address);
        return Err(error);
    }
    Ok(address)
}
