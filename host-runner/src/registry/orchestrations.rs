//! Orchestration images on a device, shared by equal bytes.

use std::collections::HashMap;

use protocol::DeviceAddr;

use crate::device::{Device, MemoryError, Uploaded};

use super::content::{ContentId, ContentIndex, SharedBytes};

/// One image.
#[derive(Debug)]
struct Image {
    address: DeviceAddr,
    references: usize,
    /// An entry that the device has found in it.
    entry: String,
}

/// All images of a device.
#[derive(Debug, Default)]
pub struct Orchestrations {
    contents: ContentIndex,
    images: HashMap<ContentId, Image>,
}

impl Orchestrations {
    /// Whether the image is there and the device has found this entry in it.
    pub fn is_checked(&self, bytes: &SharedBytes, entry: &str) -> bool {
        // Nothing is hashed where nothing is there.
        let found = (!self.contents.is_empty()).then(|| self.contents.find_shared(bytes)).flatten();
        found.and_then(|id| self.images.get(&id)).is_some_and(|image| image.entry == entry)
    }

    /// Uploads an image that the device has checked for `entry`, or takes another reference to one with
    /// the same bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]; nothing stays behind then.
    pub fn upload(
        &mut self,
        device: &dyn Device,
        bytes: &SharedBytes,
        entry: &str,
    ) -> Result<Uploaded, MemoryError> {
        let content = self.contents.insert_shared(bytes);
        if let Some(image) = self.images.get_mut(&content) {
            image.references += 1;
            return Ok(Uploaded { address: image.address, was_there: true });
        }
        let uploaded = device.upload_image(bytes).inspect_err(|_refused| {
            self.contents.remove(content);
        });
        let (address, entry) = (uploaded?, entry.to_owned());
        self.images.insert(content, Image { address, references: 1, entry });
        Ok(Uploaded { address, was_there: false })
    }

    /// Gives one reference to the image at `address` back; true if it was the last, and the memory
    /// is the caller's to free.
    #[must_use]
    pub fn give_back(&mut self, address: DeviceAddr) -> bool {
        let found = self.images.iter_mut().find(|(_, image)| image.address == address);
        let Some((&content, image)) = found else { return false };
        image.references -= 1;
        if image.references > 0 {
            return false;
        }
        self.images.remove(&content);
        self.contents.remove(content);
        true
    }

    /// Number of distinct images.
    pub fn count(&self) -> usize {
        self.contents.len()
    }
}
