//! The executor's side of a log area: what is delivered, kept and refused, against a host in the same memory.

use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;
use protocol::LogFrameHeader;
use zerocopy::{FromBytes, IntoBytes};

use super::*;

/// Bytes of a ring in the tests.
const RING_BYTES: u32 = 4096;
/// Rings of an area in the tests.
const RINGS: u16 = 2;
/// Bytes of an area in the tests.
const AREA_BYTES: usize = 1280 + 2 * 128 + 2 * 4096;

/// Cache upkeep where both sides see the same memory.
pub(in crate::log) const COHERENT: CacheUpkeep =
    CacheUpkeep { invalidate: |_, _| {}, clean: |_, _| {} };

/// Memory of an area, and its host.
#[repr(C, align(64))]
pub(in crate::log) struct Memory {
    bytes: [u8; AREA_BYTES],
}

impl Memory {
    pub(in crate::log) fn new() -> Box<Self> {
        let mut memory = Box::new(Self { bytes: [0; AREA_BYTES] });
        let header = LogArea::formatted(RINGS, RING_BYTES).expect("in range");
        memory.bytes[..size_of::<LogArea>()].copy_from_slice(header.as_bytes());
        memory
    }

    pub(in crate::log) fn address(&mut self) -> DeviceAddr {
        DeviceAddr::new((&raw mut *self).expose_provenance() as u64)
    }

    pub(in crate::log) fn header(&self) -> LogArea {
        LogArea::read_from_prefix(&self.bytes).expect("long enough").0
    }

    fn positions(&mut self, ring: usize) -> &mut LogRing {
        let at = 1280 + 128 * ring;
        LogRing::mut_from_bytes(&mut self.bytes[at..at + 128]).expect("aligned")
    }

    pub(in crate::log) fn dropped(&mut self, ring: usize) -> u64 {
        self.positions(ring).dropped
    }

    /// Takes all frames of a ring, as the host does.
    pub(in crate::log) fn take(&mut self, ring: usize) -> Vec<(LogFrameHeader, Vec<u8>)> {
        let LogRing { written, read, .. } = *self.positions(ring);
        let data = 1280 + 128 * usize::from(RINGS) + RING_BYTES as usize * ring;
        let byte = |position: u64| self.bytes[data + position as usize % RING_BYTES as usize];
        let mut unread: &[u8] = &(read..written).map(byte).collect::<Vec<u8>>();
        let mut frames = Vec::new();
        while !unread.is_empty() {
            let (header, rest) = LogFrameHeader::read_from_prefix(unread).expect("a whole header");
            let (frame, rest) = rest.split_at(header.bytes.into());
            frames.push((header, frame.to_vec()));
            unread = rest;
        }
        self.positions(ring).read = written;
        frames
    }
}

fn open(memory: &mut Memory) -> OpenArea {
    // SAFETY: an area by its header, which the test has as long as it uses it.
    unsafe { OpenArea::open(memory.address(), COHERENT) }.expect("an area")
}

fn put(ring: &mut FrameRing<1024>, number: u64, bytes: usize) -> (LogFrameHeader, Vec<u8>) {
    // CAST: the low byte is all that is wanted.
    let frame: Vec<u8> = (0..bytes).map(|byte| (byte as u64 + number) as u8).collect();
    let header = LogFrameHeader { time_us: number, callable: 5, ..LogFrameHeader::default() };
    ring.begin_frame(header);
    ring.write(&frame);
    ring.end_frame();
    // CAST: below 1024.
    (LogFrameHeader { bytes: bytes as u16, ..header }, frame)
}

#[test]
fn what_is_no_area_is_left_alone() {
    let mut memory = Memory::new();
    let address = memory.address();
    let is_open = |address| {
        // SAFETY: memory of the test, large enough wherever it is taken for an area.
        unsafe { OpenArea::open(address, COHERENT) }.is_some()
    };
    assert!(is_open(address));
    assert!(!is_open(DeviceAddr::NULL));
    assert!(!is_open(DeviceAddr::new(address.raw() + 8)), "misaligned");
    for (offset, byte) in [(0, b'X'), (4, 9), (6, 0), (6, 255), (8, 1), (10, 255)] {
        let mut memory = Memory::new();
        memory.bytes[offset] = byte;
        let before = memory.bytes;
        assert!(!is_open(memory.address()), "byte {offset}");
        let report = RunReport { run_number: 1, ..RunReport::NONE };
        // SAFETY: memory of the test.
        unsafe { write_report(memory.address(), |_, _| {}, |_, _| {}, &report) };
        assert!(memory.bytes == before, "byte {offset}: nothing was written");
    }
}

#[test]
fn a_report_is_written_whole_if_the_record_failed_and_replaces_the_one_before() {
    let mut memory = Memory::new();
    let write = |memory: &mut Memory, report: &RunReport| {
        // SAFETY: memory of the test.
        unsafe { write_report(memory.address(), |_, _| {}, |_, _| {}, report) };
    };
    let mut failed = RunReport { run_number: 7, code: 5, tasks: 9, loaded: 1, ..RunReport::NONE };
    failed.set_text("why");
    write(&mut memory, &failed);
    let header = memory.header();
    assert_eq!(header.report, failed);
    assert_eq!(header.report.text(), "why");
    write(&mut memory, &RunReport { run_number: 8, tasks: 2, ..RunReport::NONE });
    let RunReport { run_number, code, tasks, loaded, text_bytes, .. } = memory.header().report;
    assert_eq!((run_number, code, tasks, loaded, text_bytes), (8, 0, 2, 0, 0));
    assert_eq!(memory.header().layout(), header.layout(), "the host's part is as it was");
}

#[test]
fn a_full_ring_keeps_old_frames_and_new_ones_wait_at_home() {
    let mut memory = Memory::new();
    let area = open(&mut memory);
    let mut home = FrameRing::<1024>::new();
    let mut spoken = Vec::new();
    // Of 4096 bytes, 16 frames of 256 are there, and of 1024 at home, 4.
    for number in 0..22 {
        spoken.push(put(&mut home, number, 240));
        // SAFETY: the area is there; this is the only thread.
        assert!(unsafe { area.deliver(1, &mut home) });
    }
    assert_eq!(memory.take(1), spoken[..16]);
    assert_eq!(memory.take(0), []);
    // SAFETY: as above.
    assert!(unsafe { area.deliver(1, &mut home) });
    assert_eq!(memory.take(1), spoken[16..20]);
    assert_eq!(memory.dropped(1), 2);
    // SAFETY: as above.
    assert!(!unsafe { area.deliver(2, &mut home) }, "there is no such ring");
}

#[test]
fn positions_that_cannot_be_lead_nowhere() {
    let mut memory = Memory::new();
    let area = open(&mut memory);
    let mut home = FrameRing::<1024>::new();
    put(&mut home, 1, 50);
    *memory.positions(0) = LogRing { written: 17, read: u64::MAX - 3, ..LogRing::default() };
    *memory.positions(1) = LogRing { written: 5, read: 6, ..LogRing::default() };
    for ring in [0, 1] {
        put(&mut home, 1, 50);
        // SAFETY: the area is there; this is the only thread.
        unsafe { area.deliver(ring, &mut home) };
    }
    // What the first ring took is inside of it, and the second one looks full.
    assert_eq!(memory.positions(1).written, 5);
    assert!(home.oldest().is_some());
}

proptest! {
    /// Against a queue: what is spoken comes in order and whole, or is counted.
    #[test]
    fn frames_come_whole_and_in_order_across_the_end_of_the_ring(
        steps in proptest::collection::vec((0_u8..4, 0_usize..1000), 1..150)
    ) {
        let mut memory = Memory::new();
        let area = open(&mut memory);
        let mut home = FrameRing::<1024>::new();
        let (mut spoken, mut heard) = (VecDeque::new(), 0_u64);
        let mut number = 0;
        for (step, bytes) in steps {
            if step == 0 {
                for frame in memory.take(0) {
                    // What is missing was dropped.
                    while spoken.front().is_some_and(|it| *it != frame) {
                        spoken.pop_front();
                    }
                    prop_assert_eq!(spoken.pop_front(), Some(frame));
                    heard += 1;
                }
            } else {
                spoken.push_back(put(&mut home, number, bytes));
                number += 1;
                // SAFETY: the area is there; this is the only thread.
                let has_ring = unsafe { area.deliver(0, &mut home) };
                prop_assert!(has_ring);
            }
        }
        loop {
            let frames = memory.take(0);
            heard += frames.len() as u64;
            // SAFETY: as above.
            let has_ring = unsafe { area.deliver(0, &mut home) };
            prop_assert!(has_ring);
            if frames.is_empty() && home.oldest().is_none() {
                break;
            }
        }
        heard += memory.take(0).len() as u64;
        prop_assert_eq!(heard + memory.dropped(0), number);
    }
}
