//! Threads at their desks: who is heard where, and who is counted.

use std::boxed::Box;
use std::sync::Barrier;
use std::vec::Vec;

use protocol::{CallableId, DeviceAddr};

use super::super::area::tests::{COHERENT, Memory};
use super::*;

type Threads = LogThreads<2, 4096>;

const IMAGE: ImageIdentity = ImageIdentity { bias: 0x1234_5000, build_id: *b"an image" };

fn threads() -> Box<Threads> {
    Box::new(Threads::new())
}

fn speaker(area: DeviceAddr, index: u8, callable: i64) -> Speaker {
    Speaker { aicpu_thread: Some(index), callable: CallableId::new(callable).ok(), area }
}

fn enter(threads: &Threads, key: u64, speaker: Speaker) {
    // SAFETY: each test uses a key for one thread at a time, and its memory outlives the stay.
    unsafe { threads.enter(key, speaker, IMAGE, COHERENT) };
}

fn leave(threads: &Threads, key: u64) {
    // SAFETY: as in `enter`.
    unsafe { threads.leave(key) };
}

fn say(threads: &Threads, key: u64, bytes: &[u8]) {
    // SAFETY: (all) as in `enter`.
    unsafe { threads.begin_frame(key, 1) };
    for piece in bytes.chunks(2) {
        // SAFETY: as above.
        unsafe { threads.write(key, piece) };
    }
    // SAFETY: as above.
    unsafe { threads.end_frame(key) };
}

/// Callable, thread and bytes of each frame.
fn heard(memory: &mut Memory, ring: usize) -> Vec<(u16, u8, Vec<u8>)> {
    let frames = memory.take(ring).into_iter();
    frames.map(|(header, bytes)| (header.callable, header.aicpu_thread, bytes)).collect()
}

#[test]
fn frames_go_to_the_area_of_the_record_at_once_with_who_speaks() {
    let (threads, mut memory) = (threads(), Memory::new());
    enter(&threads, 7, speaker(memory.address(), 3, 40));
    say(&threads, 7, b"first");
    assert_eq!(heard(&mut memory, 0), [(40, 3, b"first".to_vec())]);
    let header = memory.header();
    assert_eq!((header.image_bias, header.build_id), (IMAGE.bias, IMAGE.build_id));
    leave(&threads, 7);
    say(&threads, 7, b"nobody's");
    assert_eq!(heard(&mut memory, 0), []);
    // It waits at the desk for the next who has an area.
    enter(&threads, 8, speaker(memory.address(), 0, 1));
    assert_eq!(heard(&mut memory, 0), [(NO_CALLABLE, NO_AICPU_THREAD, b"nobody's".to_vec())]);
    leave(&threads, 8);
}

#[test]
fn threads_that_speak_at_once_have_rings_of_their_own() {
    let (threads, mut memory) = (threads(), Memory::new());
    let (address, barrier) = (memory.address(), Barrier::new(2));
    std::thread::scope(|scope| {
        for index in 0..2_u8 {
            let (threads, barrier) = (&threads, &barrier);
            scope.spawn(move || {
                enter(threads, u64::from(index) + 100, speaker(address, index, 1));
                barrier.wait();
                for number in 0..50 {
                    say(threads, u64::from(index) + 100, &[index, number]);
                }
                barrier.wait();
                leave(threads, u64::from(index) + 100);
            });
        }
    });
    let mut speakers: Vec<u8> = [0, 1]
        .into_iter()
        .map(|ring| {
            let frames = heard(&mut memory, ring);
            let index = frames[0].1;
            let expected: Vec<_> =
                (0..50).map(|number| (1, index, [index, number].to_vec())).collect();
            assert_eq!(frames, expected);
            index
        })
        .collect();
    speakers.sort_unstable();
    assert_eq!(speakers, [0, 1]);
}

#[test]
fn who_finds_no_desk_is_counted_and_nobody_waits() {
    let (threads, mut memory) = (threads(), Memory::new());
    enter(&threads, 1, speaker(memory.address(), 0, 1));
    enter(&threads, 2, speaker(memory.address(), 1, 1));
    enter(&threads, 3, speaker(memory.address(), 2, 1));
    say(&threads, 3, b"lost");
    say(&threads, 4, b"lost");
    leave(&threads, 3);
    say(&threads, 1, b"heard");
    assert_eq!(heard(&mut memory, 0), [(1, 0, b"heard".to_vec())]);
    assert_eq!(memory.header().homeless, 2);
    leave(&threads, 1);
    say(&threads, 4, b"at the desk of 1");
    leave(&threads, 2);
    assert_eq!(heard(&mut memory, 1), []);
}

#[test]
fn what_speaks_while_it_is_spoken_of_is_not_heard_and_breaks_nothing() {
    let (threads, mut memory) = (threads(), Memory::new());
    enter(&threads, 9, speaker(memory.address(), 0, 1));
    // SAFETY: (all) as in `enter`.
    unsafe {
        threads.begin_frame(9, 1);
        threads.write(9, b"out");
    }
    say(&threads, 9, b"in");
    // SAFETY: as above.
    unsafe {
        threads.write(9, b"side");
        threads.end_frame(9);
    }
    assert_eq!(heard(&mut memory, 0), [(1, 0, b"outside".to_vec())]);
    leave(&threads, 9);
}
