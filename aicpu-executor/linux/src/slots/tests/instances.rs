//! Instances of sealed images, lent to slots: nothing of one load reaches the next, and later loads ask the
//! system for nothing.

use std::vec;
use std::vec::Vec;

use aicpu_executor::loader::{CodeMemory, Plan};
use rustix::param::page_size;

use super::super::calls::{Call, noted};
use super::super::{ImageInstance, SealedImage, Slot, SlotConfig};
use super::image::{Built, Piece, build};
use super::maps::runs;
use super::{call, load, read, slot};

/// Code, a page of constants, a page that is sealed after relocation, data, and so many zeros.
fn program(number: u16, zeros: usize) -> Built {
    let page = page_size();
    let data = Piece { lead: 16, zeros, ..Piece::new(6, &vec![0xAA; 2 * page]) };
    build(&[Piece::code(number), Piece::new(4, &vec![1; page]), data], Some((2, 1)))
}

/// Lends an instance.
fn offer(slot: &mut Slot, instance: ImageInstance) {
    // SAFETY: the tests keep program and image until they have taken the instance back.
    unsafe { slot.offer(instance) };
}

/// Loads the image, relocating the first word of what is sealed, writes over its data as its code would, and
/// gives the instance back.
fn use_once(slot: &mut Slot, program: &Built, plan: &Plan<'_>, word: u64) -> (u64, Vec<Call>) {
    let (start, page) = (program.starts[2], page_size());
    noted();
    let base = slot.place(plan).unwrap();
    slot.writable(start, 8).unwrap().copy_from_slice(&word.to_le_bytes());
    slot.seal(plan).unwrap();
    let calls = noted();
    let front = read(base + start as u64, 2 * page);
    assert_eq!((&front[..8], front[8]), (&word.to_le_bytes()[..], 0xAA));
    assert!(front[8..].iter().all(|byte| *byte == 0xAA), "as in the file");
    let behind = read(base + (start + 2 * page) as u64, 500);
    assert!(behind.iter().all(|byte| *byte == 0), "as if fresh");
    let data = core::ptr::with_exposed_provenance_mut::<u8>((base as usize) + start + page);
    // SAFETY: writable pages of an image that is loaded; nothing refers to them.
    unsafe { data.write_bytes(0x5A, page + 400) };
    (base, calls)
}

#[test]
fn later_loads_begin_anew_and_without_a_call() {
    let (program, other) = (program(7, 600), program(8, 600));
    let (plan, page) = (program.plan(), page_size() as u64);
    let image = SealedImage::new(&program.bytes).unwrap();
    let mut slots = [SlotConfig::DEFAULT; 2].map(slot);
    let mut instance = image.instance(&program.bytes, SlotConfig::DEFAULT).unwrap();
    let mut place = None;
    for round in 0..6 {
        let slot = &mut slots[round % 2];
        offer(slot, instance);
        // The second load makes the draft. The fourth and the fifth seal something else than the one before.
        let word = [1, 1, 1, 2, 1, 1][round];
        let (base, calls) = use_once(slot, &program, &plan, word);
        match round {
            2 | 5 => assert_eq!(calls, []),
            3 | 4 => assert_eq!(calls, [Call::Protect; 2]),
            _ => assert!(!calls.is_empty()),
        }
        assert_eq!(*place.get_or_insert(base), base, "the slot does not matter");
        assert_eq!(call(base + program.starts[0] as u64), 7);
        let span = plan.span() as u64 / page;
        assert_eq!(runs(base, span), ["1 r--", "1 r-x", "2 r--", "2 rw-"]);
        assert!(slot.take_returned().is_none(), "it is used");
        slot.release();
        instance = slot.take_returned().unwrap();
    }
    // Another image goes where it always goes.
    offer(&mut slots[0], instance);
    let base = load(&mut slots[0], &other.plan()).unwrap();
    assert_eq!(call(base + other.starts[0] as u64), 8);
    assert_ne!(Some(base), place);
    assert!(slots[0].take_returned().is_some() && slots[0].take_returned().is_none());
}

#[test]
fn many_zeros_are_mapped_anew() {
    let program = program(9, 300_000);
    let plan = program.plan();
    let image = SealedImage::new(&program.bytes).unwrap();
    let mut slot = slot(SlotConfig::DEFAULT);
    let mut instance = image.instance(&program.bytes, SlotConfig::DEFAULT).unwrap();
    for word in 0..3 {
        offer(&mut slot, instance);
        let (base, _) = use_once(&mut slot, &program, &plan, word);
        assert_eq!(call(base + program.starts[0] as u64), 9);
        slot.release();
        instance = slot.take_returned().unwrap();
    }
}

#[test]
fn instances_of_an_image_have_data_of_their_own() {
    let program = program(10, 600);
    let plan = program.plan();
    let image = SealedImage::new(&program.bytes).unwrap();
    let mut slots = [SlotConfig::DEFAULT; 2].map(slot);
    for (slot, word) in slots.iter_mut().zip(1..) {
        offer(slot, image.instance(&program.bytes, SlotConfig::DEFAULT).unwrap());
        use_once(slot, &program, &plan, word);
    }
    for _ in 0..2 {
        slots[0].release();
        let instance = slots[0].take_returned().unwrap();
        offer(&mut slots[0], instance);
        use_once(&mut slots[0], &program, &plan, 3);
    }
}
