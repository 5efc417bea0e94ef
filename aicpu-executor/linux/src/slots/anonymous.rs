//! A slot of private memory at one address: writable while an image is loaded, then sealed.
//!
//! For systems without `memfd_create`. Memory is reused while it is warm; the changes of rights are
//! what a load costs then. Cold memory is brought in with one call instead of a fault a page.

use core::ops::Range;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Plan, Protection, copy_segments_fresh};
use rustix::param::page_size;

use super::config::{ReleasedRights, SlotConfig};
use super::failure::{failed, refused, report};
use super::publish;
use super::rights::Rights;
use super::view::View;

/// The view, and how much of it has pages.
#[derive(Debug)]
pub(super) struct Anonymous {
    view: View,
    config: SlotConfig,
    /// Bytes from the start that may have pages.
    touched: usize,
}

impl Anonymous {
    /// A view of private memory, without any rights.
    pub(super) const fn new(view: View, config: SlotConfig) -> Self {
        Self { view, config, touched: 0 }
    }

    /// Copies the image in; returns its address.
    pub(super) fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let (operation, span) = (MemoryOperation::Place, plan.span());
        let refusal = refused(operation, 0, span);
        let now = self.view.rights().cloned().unwrap_or_default();
        let rights = now.with(&(0..span), Protection::READ | Protection::WRITE).ok_or(refusal)?;
        self.view.change(&rights).map_err(failed(MemoryOperation::Protect))?;
        let used = self.touched.min(span);
        // Pages behind the file's bytes come in when they are used, if ever.
        let filled = plan.file_end().next_multiple_of(page_size()).min(span);
        self.touched = self.touched.max(span);
        if used < filled {
            self.view.populate(used..filled).map_err(failed(operation))?;
        }
        copy_segments_fresh(plan, self.lend(0..span).ok_or(refusal)?, used)?;
        Ok(self.view.address())
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        // SAFETY: the view is lent here alone; no code of the slot runs while an image is being
        // loaded into it, and sealing takes the rights that this checks.
        unsafe { self.view.bytes_mut(bytes) }
    }

    /// Gives the pages the rights of the image and publishes its code.
    pub(super) fn seal(&mut self, rights: &Rights) -> Result<(), MemoryError> {
        self.view.change(rights).map_err(failed(MemoryOperation::Protect))?;
        publish(rights, self.view.address(), self.view.address());
        Ok(())
    }

    /// Gives back what the next image is not expected to need.
    pub(super) fn release(&mut self) {
        if self.config.released == ReleasedRights::Revoked {
            report("take the rights of", self.view.change(&Rights::none()));
        }
        let kept = self.config.retained();
        if self.touched > kept
            && report("give back memory of", self.view.forget(kept..self.touched))
        {
            self.touched = kept;
        }
    }
}
