//! The host's side of a log area: its first bytes, and what is in it when a record has ended.

use aicpu_executor::Fault;
use aicpu_executor::fault::FaultText;
use protocol::log_area::{LOG_RING_BYTES_DEFAULT, LOG_RINGS_DEFAULT};
use protocol::{
    DeviceAddr, LogArea, LogAreaError, LogAreaLayout, LogFrameHeader, LogRing, NO_AICPU_THREAD,
    NO_CALLABLE, RunReport,
};
use zerocopy::{FromBytes, IntoBytes};

use super::{LogDecoder, LogProblem};
use crate::device::RunOutcome;
use crate::log::Record;

/// Copies between this process and the memory that an area is in.
pub trait LogMemory {
    /// What a copy can fail with.
    type Error;

    /// Copies from the area's memory.
    ///
    /// # Errors
    ///
    /// The memory cannot be read.
    fn copy_out(&mut self, to: &mut [u8], from: DeviceAddr) -> Result<(), Self::Error>;

    /// Copies to the area's memory.
    ///
    /// # Errors
    ///
    /// The memory cannot be written.
    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), Self::Error>;
}

/// What an area is made of unless somebody wants something else.
pub const USUAL_LAYOUT: LogAreaLayout =
    match LogAreaLayout::new(LOG_RINGS_DEFAULT, LOG_RING_BYTES_DEFAULT) {
        Ok(layout) => layout,
        Err(_) => panic!("the defaults are in range"),
    };

/// An area, as its host sees it.
///
/// The memory is the caller's: [`total_bytes`](Self::total_bytes) of it, zeroed and aligned to 64 bytes, which
/// [`format`](Self::format) makes an area of. It is for one record at a time.
#[derive(Debug)]
pub struct HostLogArea {
    address: DeviceAddr,
    layout: LogAreaLayout,
    /// What has been read of each ring.
    rings: Vec<Known>,
    /// Frames without a ring that were told of.
    homeless: u64,
    /// The Build-ID that was complained about.
    foreign: Option<[u8; 8]>,
}

/// How far a ring has been read.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    read: u64,
    dropped: u64,
}

/// What an area held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// The log, in the order in which it was spoken, as far as the device's clock tells.
    pub records: Vec<Record>,
    /// Records that were lost since the last time, for want of room.
    pub dropped: u64,
    /// What could not be read.
    pub problems: Vec<LogProblem>,
    /// How the record with the number ended that was asked about, if the executor has reported on it.
    pub report: Option<Box<RunReport>>,
}

impl Collected {
    /// What came of the run that was asked about; `None` if the executor has not reported on it.
    pub fn outcome(&self) -> Option<RunOutcome> {
        let report = self.report.as_deref()?;
        let fault = (report.code != 0).then(|| {
            let mut text = FaultText::new();
            // As much as the executor keeps, which is as much as a report has.
            let _kept = text.push_str(report.text());
            Box::new(Fault { code: report.code, text })
        });
        Some(RunOutcome { fault, tasks: report.tasks, loaded: report.loaded != 0 })
    }
}

/// A frame of a ring.
struct Frame {
    ring: usize,
    header: LogFrameHeader,
    bytes: Vec<u8>,
}

impl HostLogArea {
    /// The area at `address` with the usual rings.
    pub fn new(address: DeviceAddr) -> Self {
        Self::with_layout(address, USUAL_LAYOUT)
    }

    /// The area at `address` with these rings.
    pub fn with_layout(address: DeviceAddr, layout: LogAreaLayout) -> Self {
        let rings = vec![Known::default(); layout.rings()];
        Self { address, layout, rings, homeless: 0, foreign: None }
    }

    /// Bytes of device memory that the area takes.
    pub const fn total_bytes(&self) -> usize {
        self.layout.total_bytes()
    }

    /// Where it is: what the extension of a record names.
    pub const fn address(&self) -> DeviceAddr {
        self.address
    }

    /// Makes an area of memory that is all zeroes.
    ///
    /// # Errors
    ///
    /// The memory cannot be written.
    pub fn format<M: LogMemory>(&self, memory: &mut M) -> Result<(), M::Error> {
        // CAST: (both) made of numbers of these types.
        let header =
            LogArea::formatted(self.layout.rings() as u16, self.layout.ring_bytes() as u32);
        match header {
            Ok(header) => memory.copy_in(self.address, header.as_bytes()),
            // A layout is in range.
            Err(_) => Ok(()),
        }
    }

    /// Takes what the executor has written since the last time, and the report on the record with this number.
    ///
    /// Without a decoder, or with that of another image, there is the report and a problem in place of records.
    ///
    /// # Errors
    ///
    /// The memory cannot be read or written. What was in the area may be there the next time.
    pub fn collect<M: LogMemory>(
        &mut self,
        memory: &mut M,
        decoder: Option<&LogDecoder>,
        run_number: u32,
    ) -> Result<Collected, M::Error> {
        let mut head = vec![0; self.layout.head_bytes()];
        memory.copy_out(&mut head, self.address)?;
        let mut collected = Collected::default();
        let header = match self.header(&head) {
            Ok(header) => header,
            Err(error) => {
                collected.problems.push(error.into());
                return Ok(collected);
            }
        };
        if run_number != 0 && header.report.run_number == run_number {
            collected.report = Some(Box::new(header.report));
        }
        collected.dropped = header.homeless.wrapping_sub(self.homeless);
        self.homeless = header.homeless;
        let mut frames = Vec::new();
        for index in 0..self.layout.rings() {
            self.take_ring(memory, &head, index, &mut frames, &mut collected)?;
        }
        frames.sort_by_key(|frame| frame.header.time_us);
        self.decode(&header, decoder, &frames, &mut collected);
        Ok(collected)
    }

    /// The header of the area, if it is still the one that was written.
    fn header(&self, head: &[u8]) -> Result<LogArea, LogAreaError> {
        let (header, _) =
            LogArea::read_from_prefix(head).map_err(|_| LogAreaError::Magic { found: 0 })?;
        let layout = header.layout()?;
        if layout == self.layout {
            Ok(header)
        } else {
            Err(LogAreaError::Magic { found: header.magic })
        }
    }

    /// Takes the frames of a ring.
    fn take_ring<M: LogMemory>(
        &mut self,
        memory: &mut M,
        head: &[u8],
        index: usize,
        frames: &mut Vec<Frame>,
        collected: &mut Collected,
    ) -> Result<(), M::Error> {
        let ring = self.layout.ring(index).and_then(|at| {
            let positions = LogRing::read_from_prefix(head.get(at..)?).ok()?.0;
            Some((at, positions, self.rings.get_mut(index)?, self.layout.ring_data(index)?))
        });
        let Some((at, positions, known, data)) = ring else { return Ok(()) };
        collected.dropped =
            collected.dropped.wrapping_add(positions.dropped.wrapping_sub(known.dropped));
        known.dropped = positions.dropped;
        let bytes = positions.written.wrapping_sub(known.read);
        if bytes == 0 {
            return Ok(());
        }
        if bytes > self.layout.ring_bytes() as u64 {
            collected.problems.push(LogProblem::Positions { ring: index, bytes });
        } else {
            let (address, capacity) = (self.address.raw() + data as u64, self.layout.ring_bytes());
            // CAST: (both) at most `capacity`.
            let (start, bytes) = ((known.read % capacity as u64) as usize, bytes as usize);
            let mut unread = vec![0; bytes];
            let (first, second) = unread.split_at_mut(bytes.min(capacity - start));
            memory.copy_out(first, DeviceAddr::new(address + start as u64))?;
            if !second.is_empty() {
                memory.copy_out(second, DeviceAddr::new(address))?;
            }
            split(index, &unread, frames, &mut collected.problems);
        }
        // Only now is there room for more.
        known.read = positions.written;
        let to = self.address.raw() + (at + std::mem::offset_of!(LogRing, read)) as u64;
        memory.copy_in(DeviceAddr::new(to), known.read.as_bytes())
    }

    /// Turns frames into records.
    fn decode(
        &mut self,
        header: &LogArea,
        decoder: Option<&LogDecoder>,
        frames: &[Frame],
        collected: &mut Collected,
    ) {
        if frames.is_empty() {
            return;
        }
        let Some(decoder) = decoder else {
            collected.problems.push(LogProblem::NoDecoder { frames: frames.len() });
            return;
        };
        if decoder.build_id() != header.build_id {
            // Said once: it is the same for all runs.
            if self.foreign.replace(header.build_id) != Some(header.build_id) {
                collected.problems.push(LogProblem::ForeignImage {
                    running: header.build_id,
                    known: decoder.build_id(),
                });
            }
            return;
        }
        for Frame { ring, header: about, bytes } in frames {
            match decoder.decode(header.image_bias, bytes) {
                Ok(record) => collected.records.push(Record {
                    aicpu_thread: Some(about.aicpu_thread).filter(|it| *it != NO_AICPU_THREAD),
                    callable: Some(about.callable).filter(|it| *it != NO_CALLABLE),
                    ..record
                }),
                Err(error) => collected.problems.push(LogProblem::Frame { ring: *ring, error }),
            }
        }
    }
}

/// Splits the bytes of a ring into frames.
fn split(ring: usize, mut unread: &[u8], frames: &mut Vec<Frame>, problems: &mut Vec<LogProblem>) {
    while !unread.is_empty() {
        let parts = LogFrameHeader::read_from_prefix(unread).ok().and_then(|(header, rest)| {
            let (bytes, rest) = rest.split_at_checked(usize::from(header.bytes))?;
            Some((Frame { ring, header, bytes: bytes.to_vec() }, rest))
        });
        match parts {
            Some((frame, rest)) => {
                frames.push(frame);
                unread = rest;
            }
            None => {
                problems.push(LogProblem::Cut { ring, bytes: unread.len() });
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
