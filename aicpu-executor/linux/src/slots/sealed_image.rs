//! A shared object in a file in memory that nobody can change: read it, plan it, map it.
//!
//! It exists apart because a large image is loaded fastest by not copying it: its segments are
//! mapped, and only pages that relocations write to are copied. That is safe from a file that can
//! neither shrink nor change (hostile class 31): the bytes that were checked are the bytes that are
//! mapped. Slots that map one image share its text, and never its data.
//!
//! ```text
//!  bytes ── SealedImage ──┬─ as_bytes() ──▶ plan() ──┐
//!                         ├─ FileSlot ◀── commit() ──┤   text: pages of the file
//!                         └─ instance() ─▶ Slot ◀────┘   data: copies, made when written
//! ```

use core::ops::Range;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Plan, Protection};
#[cfg(test)]
use rustix::fd::BorrowedFd;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::config::SlotConfig;
use super::failure::refused;
use super::image_instance::ImageInstance;
use super::memory_file;
use super::region::SealedBytes;
use super::reservation;
use super::segment_mapping::MapPages;
use super::slot::Slot;
use super::view::{Refusal, View};

/// The bytes of a shared object, unchangeable from here on.
#[derive(Debug)]
pub struct SealedImage {
    file: OwnedFd,
    bytes: SealedBytes,
}

impl SealedImage {
    /// Copies a shared object to a sealed file.
    ///
    /// # Errors
    ///
    /// There are no bytes, or the system has no such files or no memory.
    pub fn new(bytes: &[u8]) -> Result<Self, MemoryError> {
        let length = bytes.len();
        let failed = |error: Errno| MemoryError {
            os_error: error.raw_os_error(),
            ..refused(MemoryOperation::SealFile, 0, length)
        };
        if bytes.is_empty() {
            return Err(refused(MemoryOperation::SealFile, 0, 0));
        }
        let file = memory_file::sealed(c"orchestration", bytes).map_err(failed)?;
        let bytes = SealedBytes::map(file.as_fd(), length).map_err(failed)?;
        Ok(Self { file, bytes })
    }

    /// Returns address space for one load of the image after the other, by a slot that is
    /// [offered](super::Slot::offer) it. Of the configuration, the size alone matters.
    ///
    /// Plans of the image are made of `copy`.
    ///
    /// # Errors
    ///
    /// The system gives no address space, or no descriptor.
    pub fn instance(&self, copy: &[u8], config: SlotConfig) -> Result<ImageInstance, MemoryError> {
        let length = copy.len();
        let failed = |error: Errno| MemoryError {
            os_error: error.raw_os_error(),
            ..refused(MemoryOperation::MapFile, 0, length)
        };
        let file = fcntl_dupfd_cloexec(&self.file, 0).map_err(failed)?;
        let planned = copy.as_ptr_range();
        let planned = planned.start.addr()..planned.end.addr();
        Ok(ImageInstance::new(reservation::mapped_view(&config)?, file, planned))
    }

    /// Returns the file.
    #[cfg(test)]
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Returns the shared object, to be planned.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes.as_bytes()
    }
}

impl MapPages for SealedImage {
    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        view.map_private(pages, (self.file.as_fd(), offset), protection)
    }
}

/// A slot for one sealed image: loads map its segments instead of copying them.
#[derive(Debug)]
pub struct FileSlot<'i> {
    image: &'i SealedImage,
    slot: Slot,
}

impl<'i> FileSlot<'i> {
    /// Reserves a slot. Of the configuration, the size alone matters.
    ///
    /// # Errors
    ///
    /// The system does not give the address space.
    pub fn new(image: &'i SealedImage, config: SlotConfig) -> Result<Self, MemoryError> {
        Ok(Self { image, slot: reservation::mapped_slot(&config)? })
    }
}

impl CodeMemory for FileSlot<'_> {
    fn page_bytes(&self) -> usize {
        self.slot.page_bytes()
    }

    /// Maps the segments if the plan is one of the image's own bytes, and copies them otherwise.
    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let is_own = core::ptr::eq(plan.image(), self.image.as_bytes());
        let source = is_own.then_some(self.image as &dyn MapPages);
        self.slot.place_mapped(plan, source)
    }

    fn writable(&mut self, offset: usize, bytes: usize) -> Result<&mut [u8], MemoryError> {
        self.slot.writable(offset, bytes)
    }

    fn seal(&mut self, plan: &Plan<'_>) -> Result<(), MemoryError> {
        self.slot.seal(plan)
    }

    fn release(&mut self) {
        self.slot.release();
    }
}
