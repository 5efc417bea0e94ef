//! What the executor on the chip says of a record: its log, and how the record ended.
//!
//! It cannot be asked, being in another process on another machine, so each record names a log area
//! (`protocol::log_area`), which is read when the record has ended.

use std::path::Path;
use std::sync::Arc;

use protocol::{DeviceAddr, RunReport};

use super::memory::Block;
use super::session::Session;
use crate::device::MemoryError;
use crate::device::log_area::{HostLogArea, LogDecoder, LogMemory, USUAL_LAYOUT};

/// The log area of a device, which runs and loads have by turns.
#[derive(Debug)]
pub struct RunLog {
    memory: AreaMemory,
    area: HostLogArea,
    /// `None` where the texts of the AICPU program are not at hand.
    decoder: Option<LogDecoder>,
}

impl RunLog {
    /// Makes an area for an AICPU program, whose texts are in the unstripped twin beside `program`. Without the
    /// twin, only outcomes are read.
    ///
    /// # Errors
    ///
    /// As [`Block::allocate`].
    pub fn new(session: &Arc<Session>, program: &Path) -> Result<Self, MemoryError> {
        let mut memory = AreaMemory(Block::zeroed(session, USUAL_LAYOUT.total_bytes())?);
        let area = HostLogArea::new(memory.0.address());
        area.format(&mut memory)?;
        let decoder = LogDecoder::beside(program)
            .inspect_err(|error| tracing::warn!(%error, "what the AICPU logs cannot be read"))
            .ok();
        Ok(Self { memory, area, decoder })
    }

    /// What the extension of a record names.
    pub fn address(&self) -> DeviceAddr {
        self.area.address()
    }

    /// Passes on what was logged, and returns how the record with this number ended, if the executor has said so.
    ///
    /// # Errors
    ///
    /// As [`Block::copy_out`].
    pub fn collect(&mut self, number: u32) -> Result<Option<Box<RunReport>>, MemoryError> {
        let collected = self.area.collect(&mut self.memory, self.decoder.as_ref(), number)?;
        for record in &collected.records {
            record.emit();
        }
        if collected.dropped > 0 {
            tracing::warn!(records = collected.dropped, "log records found no room");
        }
        // Without its texts, that was said when the device was opened.
        for problem in collected.problems.iter().filter(|_| self.decoder.is_some()) {
            tracing::warn!(%problem, "a part of the AICPU's log cannot be read");
        }
        Ok(collected.report)
    }
}

/// The memory of an area.
#[derive(Debug)]
struct AreaMemory(Block);

impl AreaMemory {
    /// How far behind the start of the area an address is.
    fn offset(&self, address: DeviceAddr) -> usize {
        let offset = address.raw().wrapping_sub(self.0.address().raw());
        // What is before the start is far behind the end.
        usize::try_from(offset).unwrap_or(usize::MAX)
    }
}

impl LogMemory for AreaMemory {
    type Error = MemoryError;

    fn copy_out(&mut self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        self.0.copy_out(self.offset(from), to)
    }

    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        self.0.copy_in(self.offset(to), from)
    }
}
