//! A bounded ring of log bytes that takes whole frames or nothing.
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

/// The ring; `BYTES` is a power of two.
#[derive(Debug)]
pub(crate) struct LogRing<const BYTES: usize> {
    bytes: [u8; BYTES],
    /// Position of the next byte to hand out.
    read: usize,
    /// Position behind the last finished frame.
    committed: usize,
    /// Position behind the last byte of the frame in progress.
    written: usize,
    /// Whether the frame in progress did not fit.
    is_overflowing: bool,
    /// Frames dropped so far.
    dropped: u64,
}

impl<const BYTES: usize> LogRing<BYTES> {
    /// An empty ring.
    pub(crate) const fn new() -> Self {
        const { assert!(BYTES.is_power_of_two(), "positions wrap at a multiple of the size") };
        Self {
            bytes: [0; BYTES],
            read: 0,
            committed: 0,
            written: 0,
            is_overflowing: false,
            dropped: 0,
        }
    }

    /// Appends bytes to the frame in progress.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let used = self.written.wrapping_sub(self.read);
        if self.is_overflowing || bytes.len() > BYTES - used {
            self.is_overflowing = true;
            return;
        }
        for &byte in bytes {
            if let Some(slot) = self.bytes.get_mut(self.written % BYTES) {
                *slot = byte;
            }
            self.written = self.written.wrapping_add(1);
        }
    }

    /// Finishes the frame in progress, or takes it back if it did not fit.
    pub(crate) fn finish_frame(&mut self) {
        if self.is_overflowing {
            self.written = self.committed;
            self.is_overflowing = false;
            self.dropped += 1;
        } else {
            self.committed = self.written;
        }
    }

    /// Moves bytes of finished frames to `to` and returns how many.
    pub(crate) fn drain(&mut self, to: &mut [u8]) -> usize {
        let mut moved = 0;
        for slot in to.iter_mut().take(self.committed.wrapping_sub(self.read)) {
            let Some(&byte) = self.bytes.get(self.read % BYTES) else { break };
            *slot = byte;
            self.read = self.read.wrapping_add(1);
            moved += 1;
        }
        moved
    }

    /// Frames dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Everything that is in the ring, taken out in pieces of `piece` bytes.
    fn drained<const BYTES: usize>(ring: &mut LogRing<BYTES>, piece: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut bytes = std::vec![0; piece];
            match ring.drain(&mut bytes) {
                0 => return all,
                moved => all.extend_from_slice(&bytes[..moved]),
            }
        }
    }

    #[test]
    fn an_unfinished_frame_is_not_handed_out() {
        let mut ring = LogRing::<8>::new();
        ring.write(b"abc");
        assert_eq!(drained(&mut ring, 8), b"");
        ring.finish_frame();
        assert_eq!(drained(&mut ring, 2), b"abc");
    }

    #[test]
    fn a_frame_fits_up_to_the_last_byte_and_is_dropped_whole_beyond() {
        for (bytes, kept) in [(7, true), (8, true), (9, false)] {
            let mut ring = LogRing::<8>::new();
            for byte in 0..bytes {
                ring.write(&[byte]);
            }
            ring.finish_frame();
            let expected: Vec<u8> = if kept { (0..bytes).collect() } else { Vec::new() };
            assert_eq!(drained(&mut ring, 3), expected, "{bytes} bytes");
            assert_eq!(ring.dropped(), u64::from(!kept), "{bytes} bytes");
        }
    }

    #[test]
    fn keeps_old_frames_when_new_ones_do_not_fit_and_goes_on_after_a_drain() {
        let mut ring = LogRing::<8>::new();
        for frame in [&b"first"[..], b"second", b"th", b"fourth"] {
            ring.write(frame);
            ring.finish_frame();
        }
        assert_eq!((drained(&mut ring, 8), ring.dropped()), (b"firstth".to_vec(), 2));
        ring.write(b"fifth");
        ring.finish_frame();
        assert_eq!((drained(&mut ring, 8), ring.dropped()), (b"fifth".to_vec(), 2));
    }

    #[test]
    fn frames_keep_their_order_across_the_end_of_the_memory() {
        let mut ring = LogRing::<8>::new();
        for round in 0..100_u8 {
            ring.write(&[round, round]);
            ring.write(&[round]);
            ring.finish_frame();
            assert_eq!(drained(&mut ring, 8), [round; 3]);
        }
        assert_eq!(ring.dropped(), 0);
    }
}
