//! A slot whose segments are mapped from a file, whichever file that is.
//!
//! Nothing stays from one image to the next: releasing takes all mappings away in one call.

use core::ops::Range;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Plan};

use super::failure::{failed, report};
use super::publish;
use super::rights::Rights;
use super::segment_mapping::{MapPages, map_segments};
use super::view::{Refusal, View};

/// The one view.
#[derive(Debug)]
pub(super) struct Mapped {
    view: View,
    /// Bytes from the start that may have mappings.
    mapped: usize,
}

impl Mapped {
    /// A view of private memory, without any rights.
    pub(super) const fn new(view: View) -> Self {
        Self { view, mapped: 0 }
    }

    /// Maps the segments from `source`, or copies them without one; returns the address of the image.
    pub(super) fn place(
        &mut self,
        plan: &Plan<'_>,
        source: Option<&dyn MapPages>,
    ) -> Result<u64, Refusal> {
        self.mapped = plan.span();
        map_segments(&mut self.view, plan, source)?;
        Ok(self.view.address())
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        // SAFETY: the view is lent here alone, and no code of the slot runs while an image is being
        // loaded into it. Writable pages are private: what becomes of the file cannot change them,
        // because it is sealed, or because they were copied when they were mapped.
        unsafe { self.view.bytes_mut(bytes) }
    }

    /// Gives the pages the rights of the image and publishes its code.
    pub(super) fn seal(&mut self, rights: &Rights) -> Result<(), MemoryError> {
        self.view.change(rights).map_err(failed(MemoryOperation::Protect))?;
        publish(rights, self.view.address(), self.view.address());
        Ok(())
    }

    /// Takes everything away.
    pub(super) fn release(&mut self) {
        let mapped = core::mem::take(&mut self.mapped);
        if mapped > 0 {
            // After a change of rights that failed half way, only taking all of them makes known
            // again which there are; the slot could not be used any more otherwise.
            let mapped = if self.view.rights().is_some() { mapped } else { self.view.bytes() };
            report("take the mappings of", self.view.blank(0..mapped));
        }
    }
}
