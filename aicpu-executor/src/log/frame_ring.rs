//! A bounded ring of frames that takes whole ones or none.
//!
//! A frame is written piece by piece and counts only once it is finished; if it does not fit, it
//! is taken back and counted as dropped. Old frames are never overwritten: the first records of a
//! failure are the ones that explain it.
//!
//! ```text
//!    read            committed         end of the frame in progress
//!     ▼                  ▼                  ▼
//!  ───[ finished frames ][ unfinished bytes ]─────── (positions count up; a slot is `p % BYTES`)
//! ```
//!
//! Of one thread: nothing here is atomic.

use protocol::LogFrameHeader;
use zerocopy::{FromBytes, IntoBytes};

/// The ring; `BYTES` is a power of two.
#[derive(Debug)]
pub struct FrameRing<const BYTES: usize> {
    bytes: [u8; BYTES],
    /// Position of the next byte to hand out.
    read: usize,
    /// Position behind the last finished frame.
    committed: usize,
    /// Position behind the last byte of the frame in progress.
    written: usize,
    /// Of the frame in progress; its length is filled in at the end.
    header: LogFrameHeader,
    /// Whether the frame in progress did not fit.
    is_overflowing: bool,
    /// Frames dropped since the number was taken.
    dropped: u64,
}

/// Bytes of a frame's header.
const HEADER_BYTES: usize = size_of::<LogFrameHeader>();

impl<const BYTES: usize> FrameRing<BYTES> {
    /// An empty ring.
    pub const fn new() -> Self {
        const { assert!(BYTES.is_power_of_two(), "positions wrap at a multiple of the size") };
        const { assert!(BYTES <= 1 << 16, "a frame's header has 16 bits for its length") };
        let header =
            LogFrameHeader { bytes: 0, callable: 0, aicpu_thread: 0, reserved: [0; 3], time_us: 0 };
        Self {
            bytes: [0; BYTES],
            read: 0,
            committed: 0,
            written: 0,
            header,
            is_overflowing: false,
            dropped: 0,
        }
    }

    /// Begins a frame with this header; its length is not looked at. A frame in progress is forgotten.
    pub fn begin_frame(&mut self, header: LogFrameHeader) {
        self.written = self.committed;
        self.is_overflowing = false;
        self.header = header;
        self.write(header.as_bytes());
    }

    /// Appends bytes to the frame in progress.
    pub fn write(&mut self, bytes: &[u8]) {
        let used = self.written.wrapping_sub(self.read);
        if self.is_overflowing || bytes.len() > BYTES - used {
            self.is_overflowing = true;
            return;
        }
        self.put(self.written, bytes);
        self.written = self.written.wrapping_add(bytes.len());
    }

    /// Finishes the frame in progress, or takes it back if it did not fit.
    pub fn end_frame(&mut self) {
        let bytes = self.written.wrapping_sub(self.committed).wrapping_sub(HEADER_BYTES);
        match u16::try_from(bytes) {
            Ok(bytes) if !self.is_overflowing => {
                self.header.bytes = bytes;
                let header = self.header;
                self.put(self.committed, header.as_bytes());
                self.committed = self.written;
            }
            _ => {
                self.written = self.committed;
                self.dropped = self.dropped.saturating_add(1);
            }
        }
        self.is_overflowing = false;
    }

    /// The oldest frame with its header, in two pieces, of which the second may be empty.
    pub fn oldest(&self) -> Option<(&[u8], &[u8])> {
        if self.read == self.committed {
            return None;
        }
        let mut header = [0; HEADER_BYTES];
        for (index, byte) in header.iter_mut().enumerate() {
            *byte = *self.bytes.get(self.read.wrapping_add(index) % BYTES)?;
        }
        let header = LogFrameHeader::read_from_bytes(&header).ok()?;
        let bytes = HEADER_BYTES + usize::from(header.bytes);
        let start = self.read % BYTES;
        let first = bytes.min(BYTES - start);
        Some((self.bytes.get(start..start + first)?, self.bytes.get(..bytes - first)?))
    }

    /// Gives the room of the oldest frame free.
    pub fn discard_oldest(&mut self) {
        if let Some((first, second)) = self.oldest() {
            self.read = self.read.wrapping_add(first.len() + second.len());
        }
    }

    /// Frames dropped since this was last called.
    pub fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// Frames dropped since the number was taken.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Puts bytes at a position and behind it; there is room.
    fn put(&mut self, position: usize, bytes: &[u8]) {
        let start = position % BYTES;
        let (first, second) = bytes.split_at(bytes.len().min(BYTES - start));
        for (slot, byte) in self.bytes.iter_mut().skip(start).zip(first) {
            *slot = *byte;
        }
        for (slot, byte) in self.bytes.iter_mut().zip(second) {
            *slot = *byte;
        }
    }
}

impl<const BYTES: usize> Default for FrameRing<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
