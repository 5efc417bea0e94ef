//! The log area of a device: what the executor says, and how a record ended.

use std::sync::Arc;

use protocol::DeviceAddr;

use super::memory::Block;
use super::session::Session;
use crate::device::log_area::{
    Collected, HostLogArea, LogDecoder, LogMemory, LogProblem, USUAL_LAYOUT,
};
use crate::device::{MemoryError, RunOutcome};

/// A log area in device memory.
#[derive(Debug)]
pub struct DeviceLog {
    area: HostLogArea,
    memory: AreaMemory,
    decoder: Option<LogDecoder>,
}

/// The memory that the area is in.
#[derive(Debug)]
struct AreaMemory(Block);

impl LogMemory for AreaMemory {
    type Error = MemoryError;

    fn copy_out(&mut self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        self.0.copy_out(self.offset(from), to)
    }

    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        self.0.copy_in(self.offset(to), from)
    }
}

impl AreaMemory {
    /// How far behind the start of the area an address is; nowhere for one before it.
    fn offset(&self, address: DeviceAddr) -> usize {
        let offset = address.raw().checked_sub(self.0.address().raw());
        offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX)
    }
}

impl DeviceLog {
    /// Makes an area, whose frames are read with this decoder.
    ///
    /// # Errors
    ///
    /// As [`Block::allocate`].
    pub fn new(session: &Arc<Session>, decoder: Option<LogDecoder>) -> Result<Self, MemoryError> {
        let mut memory = AreaMemory(Block::zeroed(session, USUAL_LAYOUT.total_bytes())?);
        let area = HostLogArea::new(memory.0.address());
        area.format(&mut memory)?;
        Ok(Self { area, memory, decoder })
    }

    /// Where it is: what records name.
    pub fn address(&self) -> DeviceAddr {
        self.area.address()
    }

    /// Passes on what the executor has said since the last time, and returns what came of the record with this
    /// number; `None` where it has not said so.
    ///
    /// # Errors
    ///
    /// As [`Block::copy_out`].
    pub fn collect(&mut self, number: u32) -> Result<Option<RunOutcome>, MemoryError> {
        let collected = self.area.collect(&mut self.memory, self.decoder.as_ref(), number)?;
        let Collected { records, dropped, problems, .. } = &collected;
        records.iter().for_each(|record| record.emit());
        if *dropped > 0 {
            tracing::warn!(dropped, "records of the device's log were lost for want of room");
        }
        for problem in problems {
            match problem {
                // That there is none was said when the device was opened.
                LogProblem::NoDecoder { .. } => {
                    tracing::debug!(%problem, "the device's log cannot be read");
                }
                _ => tracing::warn!(%problem, "a part of the device's log cannot be read"),
            }
        }
        Ok(collected.outcome())
    }
}
