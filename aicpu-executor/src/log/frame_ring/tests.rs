//! The ring of one thread, by examples and against a queue.

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The oldest frame, out of the ring, without its header.
fn take<const BYTES: usize>(ring: &mut FrameRing<BYTES>) -> Option<(LogFrameHeader, Vec<u8>)> {
    let (first, second) = ring.oldest()?;
    let whole = [first, second].concat();
    ring.discard_oldest();
    let (header, frame) = LogFrameHeader::read_from_prefix(&whole).expect("a whole header");
    Some((header, frame.to_vec()))
}

/// Writes a frame in pieces of `piece` bytes.
fn put<const BYTES: usize>(
    ring: &mut FrameRing<BYTES>,
    header: LogFrameHeader,
    bytes: &[u8],
    piece: usize,
) {
    ring.begin_frame(header);
    for bytes in bytes.chunks(piece) {
        ring.write(bytes);
    }
    ring.end_frame();
}

#[test]
fn an_unfinished_frame_is_not_handed_out_and_a_new_one_takes_its_place() {
    let mut ring = FrameRing::<64>::new();
    ring.begin_frame(LogFrameHeader { callable: 1, ..Default::default() });
    ring.write(b"abc");
    assert_eq!(ring.oldest(), None);
    put(&mut ring, LogFrameHeader { callable: 2, ..Default::default() }, b"de", 1);
    let header = LogFrameHeader { callable: 2, bytes: 2, ..Default::default() };
    assert_eq!(take(&mut ring), Some((header, b"de".to_vec())));
    assert_eq!((take(&mut ring), ring.dropped()), (None, 0));
}

#[test]
fn a_frame_fits_up_to_the_last_byte_and_is_dropped_whole_beyond() {
    for (bytes, kept) in [(47, true), (48, true), (49, false)] {
        let mut ring = FrameRing::<64>::new();
        let frame: Vec<u8> = (0..bytes).collect();
        put(&mut ring, LogFrameHeader::default(), &frame, 1);
        let taken = take(&mut ring).map(|(_, frame)| frame);
        assert_eq!(taken, kept.then_some(frame), "{bytes} bytes");
        assert_eq!(ring.take_dropped(), u64::from(!kept), "{bytes} bytes");
        assert_eq!(ring.take_dropped(), 0);
    }
}

#[test]
fn keeps_old_frames_when_new_ones_do_not_fit_and_goes_on_when_they_are_gone() {
    let mut ring = FrameRing::<64>::new();
    for frame in [&b"first"[..], b"0123456789012", b"second", b"no room"] {
        put(&mut ring, LogFrameHeader::default(), frame, 4);
    }
    // 21 bytes, 29, no room for 22 and 23.
    assert_eq!(ring.dropped(), 2);
    assert_eq!(take(&mut ring).map(|it| it.1), Some(b"first".to_vec()));
    put(&mut ring, LogFrameHeader::default(), b"third", 4);
    assert_eq!(take(&mut ring).map(|it| it.1), Some(b"0123456789012".to_vec()));
    assert_eq!(take(&mut ring).map(|it| it.1), Some(b"third".to_vec()));
}

proptest! {
    /// Against a queue of frames that knows how many bytes are in it.
    #[test]
    fn holds_what_a_queue_with_that_many_bytes_holds(
        steps in proptest::collection::vec((any::<bool>(), 0_usize..140, 1_usize..9), 1..200)
    ) {
        let mut ring = FrameRing::<256>::new();
        let mut queue = VecDeque::new();
        let (mut used, mut dropped) = (0, 0);
        for (number, (is_put, bytes, piece)) in (0_u64..).zip(steps) {
            if is_put {
                // CAST: the low byte is all that is wanted.
                let frame: Vec<u8> = (0..bytes).map(|byte| (byte as u64 + number) as u8).collect();
                let header = LogFrameHeader { time_us: number, aicpu_thread: 3, ..Default::default() };
                put(&mut ring, header, &frame, piece);
                if used + 16 + bytes <= 256 {
                    used += 16 + bytes;
                    // CAST: below 140.
                    queue.push_back((LogFrameHeader { bytes: bytes as u16, ..header }, frame));
                } else {
                    dropped += 1;
                }
            } else {
                let expected = queue.pop_front();
                used -= expected.as_ref().map_or(0, |(_, frame): &(_, Vec<u8>)| 16 + frame.len());
                prop_assert_eq!(take(&mut ring), expected);
            }
            prop_assert_eq!(ring.dropped(), dropped);
        }
        while let Some(expected) = queue.pop_front() {
            prop_assert_eq!(take(&mut ring), Some(expected));
        }
        prop_assert_eq!(take(&mut ring), None);
    }
}
