//! A slot whose memory has two addresses: code runs at one, the loader writes through the other.
//!
//! For [`WriterView::Kept`](super::WriterView::Kept) alone: the writer view stays writable.
//!
//! ```text
//!               empty ── place ──────▶ placed ── seal ─────▶ sealed ── release ──▶ empty
//!  code view    rights of the image before       of this one               (as they were)
//!  writer view  readable, writable
//! ```
//!
//! Rights of the code view stay over a release, so an image with the layout of the one before
//! finds them right. Code view and file are shared memory: data that an image writes is seen at
//! both addresses, and nowhere outside the process, since the file has no name and no descriptor.

use core::ops::Range;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Plan, copy_segments};

use super::config::{ReleasedRights, SlotConfig};
use super::failure::{failed, refused, report};
use super::publish;
use super::rights::Rights;
use super::view::View;

/// The two views, and how much of the file behind them has pages.
#[derive(Debug)]
pub(super) struct DualMapped {
    code: View,
    writer: View,
    config: SlotConfig,
    /// Bytes from the start that may have pages.
    touched: usize,
    /// Whether the writer view is a mapping of its own in the system's list.
    is_set_apart: bool,
}

impl DualMapped {
    /// Two views of the same bytes of one file, neither with any rights.
    pub(super) const fn new(code: View, writer: View, config: SlotConfig) -> Self {
        Self { code, writer, config, touched: 0, is_set_apart: false }
    }

    /// Copies the image in through the writer view; returns its address in the code view.
    pub(super) fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let (operation, span) = (MemoryOperation::Place, plan.span());
        let refusal = refused(operation, 0, span);
        if !self.is_set_apart {
            self.writer.set_apart().map_err(failed(operation))?;
            self.is_set_apart = true;
        }
        let rights = Rights::writable(self.writer.bytes()).ok_or(refusal)?;
        self.writer.change(&rights).map_err(failed(MemoryOperation::Protect))?;
        if self.touched < span {
            let cold = self.touched..span;
            self.touched = span;
            self.writer.populate(cold).map_err(failed(operation))?;
        }
        copy_segments(plan, self.lend(0..span).ok_or(refusal)?)?;
        Ok(self.code.address())
    }

    /// Returns where the loader writes.
    #[cfg(test)]
    pub(super) fn writer_address(&self) -> u64 {
        self.writer.address()
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        // SAFETY: the writer view is lent here alone and never executable; no code of the slot runs
        // while an image is being loaded into it, and the code view of other slots is other memory.
        unsafe { self.writer.bytes_mut(bytes) }
    }

    /// Gives the code view the rights of the image, publishes its code.
    pub(super) fn seal(&mut self, rights: &Rights) -> Result<(), MemoryError> {
        self.code.change(rights).map_err(failed(MemoryOperation::Protect))?;
        publish(rights, self.writer.address(), self.code.address());
        Ok(())
    }

    /// Gives back what the next image is not expected to need.
    pub(super) fn release(&mut self) {
        if self.config.released == ReleasedRights::Revoked {
            report("take the rights of", self.code.change(&Rights::none()));
        }
        let kept = self.config.retained();
        if self.touched > kept {
            // What could not be given back is given back after the next image.
            if report("give back memory of", self.writer.punch(kept..self.touched)) {
                self.touched = kept;
            }
        }
    }
}
