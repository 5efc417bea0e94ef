//! The host's side of a log area: good ones, and bytes of every other kind.

use proptest::prelude::*;
use zerocopy::FromZeros;

use super::*;

/// Device memory that begins with the area.
struct Bytes(Vec<u8>);

/// Where it is.
const ADDRESS: u64 = 0x4000;

impl LogMemory for Bytes {
    type Error = String;

    fn copy_out(&mut self, to: &mut [u8], from: DeviceAddr) -> Result<(), String> {
        let start = (from.raw() - ADDRESS) as usize;
        to.copy_from_slice(self.0.get(start..start + to.len()).ok_or("outside")?);
        Ok(())
    }

    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), String> {
        let start = (to.raw() - ADDRESS) as usize;
        self.0.get_mut(start..start + from.len()).ok_or("outside")?.copy_from_slice(from);
        Ok(())
    }
}

fn area() -> (HostLogArea, Bytes) {
    let layout = LogAreaLayout::new(2, 4096).unwrap();
    let area = HostLogArea::with_layout(DeviceAddr::new(ADDRESS), layout);
    let mut memory = Bytes(vec![0; area.total_bytes()]);
    area.format(&mut memory).unwrap();
    (area, memory)
}

fn positions(memory: &mut Bytes, ring: usize) -> &mut [u8] {
    let at = 1280 + 128 * ring;
    &mut memory.0[at..at + 128]
}

fn set_positions(memory: &mut Bytes, ring: usize, written: u64, dropped: u64) {
    positions(memory, ring)[..16].copy_from_slice([written, dropped].as_bytes());
}

/// Puts a frame behind what was written to a ring.
fn speak(memory: &mut Bytes, ring: usize, time_us: u64, bytes: &[u8]) {
    let header = LogFrameHeader { bytes: bytes.len() as u16, time_us, ..LogFrameHeader::default() };
    let (before, _) = LogRing::read_from_prefix(positions(memory, ring)).unwrap();
    let mut written = before.written;
    let data = 1280 + 256 + 4096 * ring;
    for byte in [header.as_bytes(), bytes].concat() {
        memory.0[data + written as usize % 4096] = byte;
        written += 1;
    }
    set_positions(memory, ring, written, before.dropped);
}

/// What there is, of a device whose texts nobody knows.
fn collect(area: &mut HostLogArea, memory: &mut Bytes, number: u32) -> Collected {
    area.collect(memory, None, number).unwrap()
}

#[test]
fn an_area_without_anything_in_it_is_empty() {
    let (mut area, mut memory) = area();
    assert_eq!(collect(&mut area, &mut memory, 1), Collected::default());
}

#[test]
fn a_report_is_that_of_the_record_that_is_asked_about() {
    let (mut area, mut memory) = area();
    let mut report = RunReport { run_number: 9, code: 5, tasks: 3, loaded: 1, ..RunReport::NONE };
    report.set_text("no luck");
    memory.0[64..64 + 1184].copy_from_slice(report.as_bytes());
    assert_eq!(collect(&mut area, &mut memory, 8).outcome(), None);
    assert_eq!(collect(&mut area, &mut memory, 0).outcome(), None);
    let outcome = collect(&mut area, &mut memory, 9).outcome().unwrap();
    assert_eq!((outcome.tasks, outcome.loaded), (3, true));
    let fault = outcome.fault.unwrap();
    assert_eq!((fault.code, fault.text.as_str()), (5, "no luck"));
}

#[test]
fn frames_that_nobody_can_read_are_counted_and_make_room() {
    let (mut area, mut memory) = area();
    for round in 0..40 {
        speak(&mut memory, 0, round, &[1; 500]);
        speak(&mut memory, 1, round, b"x");
        let problems = collect(&mut area, &mut memory, 1).problems;
        assert_eq!(problems, [LogProblem::NoDecoder { frames: 2 }], "round {round}");
        let (ring, _) = LogRing::read_from_prefix(positions(&mut memory, 0)).unwrap();
        assert_eq!(ring.read, ring.written);
    }
}

#[test]
fn what_was_dropped_is_told_once() {
    let (mut area, mut memory) = area();
    set_positions(&mut memory, 1, 0, 4);
    memory.0[32..40].copy_from_slice(3_u64.as_bytes());
    assert_eq!(collect(&mut area, &mut memory, 1).dropped, 7);
    assert_eq!(collect(&mut area, &mut memory, 1).dropped, 0);
    set_positions(&mut memory, 1, 0, 5);
    assert_eq!(collect(&mut area, &mut memory, 1).dropped, 1);
}

#[test]
fn positions_and_lengths_that_cannot_be_cost_their_ring_what_is_in_it() {
    let (mut area, mut memory) = area();
    set_positions(&mut memory, 0, 4097, 0);
    speak(&mut memory, 1, 1, b"whole");
    speak(&mut memory, 1, 2, b"cut");
    set_positions(&mut memory, 1, 16 + 5 + 16 + 2, 0);
    let problems = collect(&mut area, &mut memory, 1).problems;
    let expected = [
        LogProblem::Positions { ring: 0, bytes: 4097 },
        LogProblem::Cut { ring: 1, bytes: 18 },
        LogProblem::NoDecoder { frames: 1 },
    ];
    assert_eq!(problems, expected);
    // And it goes on behind them.
    speak(&mut memory, 0, 3, b"on");
    speak(&mut memory, 1, 3, b"on");
    assert_eq!(collect(&mut area, &mut memory, 1).problems, [LogProblem::NoDecoder { frames: 2 }]);
}

#[test]
fn an_area_that_was_overwritten_is_one_problem() {
    for (offset, byte) in [(0, 0), (4, 2), (6, 1), (8, 1)] {
        let (mut area, mut memory) = area();
        speak(&mut memory, 0, 1, b"lost");
        memory.0[offset] = byte;
        let collected = collect(&mut area, &mut memory, 1);
        assert!(matches!(collected.problems[..], [LogProblem::Area(_)]), "{collected:?}");
    }
}

#[test]
fn memory_that_cannot_be_read_is_the_callers_error() {
    let (mut area, mut memory) = area();
    memory.0.truncate(2000);
    speak_beyond(&mut memory);
    assert_eq!(area.collect(&mut memory, None, 1), Err("outside".to_owned()));
}

fn speak_beyond(memory: &mut Bytes) {
    set_positions(memory, 1, 64, 0);
}

proptest! {
    /// Whatever is in the memory, there is an answer, and the next one comes.
    #[test]
    fn no_area_does_harm(
        changes in proptest::collection::vec((0_usize..1280 + 256 + 512, any::<u8>()), 0..40),
        written in any::<[u64; 2]>(),
    ) {
        let (mut area, mut memory) = area();
        for (ring, written) in written.into_iter().enumerate() {
            set_positions(&mut memory, ring, written % 5000, 0);
        }
        for (at, byte) in changes {
            memory.0[at] = byte;
        }
        for number in 0..3 {
            let _whatever = collect(&mut area, &mut memory, number);
        }
        prop_assert_eq!(memory.0.len(), LogArea::new_zeroed().as_bytes().len() + 256 + 2 * 4096);
    }
}
