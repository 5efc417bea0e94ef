//! What a slot refuses, and with which error; and what it can still do afterwards.

use std::vec;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Protection};
use protocol::CallableId;
use rustix::param::page_size;

use super::super::calls::{Call, noted};
use super::super::mapped::Mapped;
use super::super::region::Region;
use super::super::rights::Rights;
use super::super::view::Pieces;
use super::super::{Slot, SlotArena, SlotConfig};
use super::image::{Built, Piece, build};
use super::{all_ways, call, load, slot};

/// Code that returns `number`, and a page and a half of data.
fn program(number: u16) -> Built {
    build(&[Piece::code(number), Piece::new(6, &vec![0xAA; page_size() * 3 / 2])], None)
}

/// The error of a range or a state, without the system's doing.
fn refused(operation: MemoryOperation, offset: usize, length: usize) -> MemoryError {
    MemoryError { operation, offset, length, os_error: 0 }
}

#[test]
fn an_image_larger_than_the_slot_is_refused_and_one_that_just_fits_is_not() {
    let page = page_size();
    let pages = |count: usize| build(&[Piece::new(6, &vec![1; count * page - 1])], None);
    // One page of headers is in front.
    let (fits, large) = (pages((64 << 10) / page - 1), pages((64 << 10) / page));
    for config in all_ways() {
        let mut slot = slot(SlotConfig { slot_bytes: 64 << 10, ..config });
        let span = large.plan().span();
        assert_eq!(load(&mut slot, &large.plan()), Err(refused(MemoryOperation::Place, 0, span)));
        assert!(!slot.is_occupied());
        assert!(load(&mut slot, &fits.plan()).is_ok(), "{config:?}");
    }
}

#[test]
fn a_slot_holds_one_image_and_the_second_changes_nothing() {
    let (program, other) = (program(1), program(2));
    for config in all_ways() {
        let mut slot = slot(config);
        let placed = refused(MemoryOperation::Place, 0, other.plan().span());
        let base = slot.place(&program.plan()).unwrap();
        assert_eq!(slot.place(&other.plan()), Err(placed), "{config:?}");
        slot.seal(&program.plan()).unwrap();
        assert_eq!(slot.place(&other.plan()), Err(placed), "{config:?}");
        assert_eq!(call(base + program.starts[0] as u64), 1, "{config:?}");
        slot.release();
        slot.release();
        assert!(!slot.is_occupied());
        let base = load(&mut slot, &other.plan()).unwrap();
        assert_eq!(call(base + other.starts[0] as u64), 2, "{config:?}");
    }
}

#[test]
fn bytes_are_lent_inside_one_writable_segment_of_an_image_that_is_placed_and_not_sealed() {
    let program = program(3);
    let (code, data) = (program.starts[0], program.starts[1]);
    let bytes = page_size() * 3 / 2;
    for config in all_ways() {
        let mut slot = slot(config);
        let refuses = |slot: &mut Slot, offset, length| {
            let error = slot.writable(offset, length).unwrap_err();
            assert_eq!(error, refused(MemoryOperation::Write, offset, length), "{config:?}");
        };
        refuses(&mut slot, data, 1);
        slot.place(&program.plan()).unwrap();
        for (offset, length) in [(0, 8), (code, 1), (data - 1, 2), (data + bytes, 1)] {
            refuses(&mut slot, offset, length);
        }
        refuses(&mut slot, data, bytes + 1);
        refuses(&mut slot, usize::MAX, 2);
        assert_eq!(slot.writable(data, bytes).unwrap().len(), bytes);
        assert_eq!(slot.writable(data + bytes, 0).unwrap().len(), 0);
        slot.seal(&program.plan()).unwrap();
        refuses(&mut slot, data, 1);
        slot.release();
        refuses(&mut slot, data, 1);
    }
}

#[test]
fn sealing_needs_the_image_that_was_placed() {
    let program = program(4);
    let longer = build(&[Piece::code(4), Piece::new(6, &vec![1; 5 * page_size()])], None);
    for config in all_ways() {
        let mut slot = slot(config);
        let refusal = |image: &Built| refused(MemoryOperation::Protect, 0, image.plan().span());
        assert_eq!(slot.seal(&program.plan()), Err(refusal(&program)));
        slot.place(&program.plan()).unwrap();
        assert_eq!(slot.seal(&longer.plan()), Err(refusal(&longer)), "{config:?}");
        slot.seal(&program.plan()).unwrap();
        assert_eq!(slot.seal(&program.plan()), Err(refusal(&program)), "{config:?}");
    }
}

#[test]
fn sizes_that_make_no_sense_are_refused_by_every_slot_with_the_size() {
    for slot_bytes in [0, 4096, (64 << 10) + 1, 2 << 30] {
        let config = SlotConfig { slot_bytes, ..SlotConfig::DEFAULT };
        let error = refused(MemoryOperation::Reserve, 0, slot_bytes);
        assert_eq!(Slot::standalone(config).unwrap_err(), error);
        let arena = SlotArena::new(config);
        for raw in [0, 63] {
            let mut slot = arena.slot(CallableId::new(raw).unwrap()).lock();
            assert_eq!(slot.mode(), None);
            assert_eq!(slot.place(&program(5).plan()), Err(error));
        }
    }
}

#[test]
fn after_a_change_that_failed_all_rights_are_taken_and_given_anew() {
    let page = page_size();
    let bytes = Pieces::region_bytes(1, 64 << 10);
    let mut pieces = Pieces::new(Region::anonymous(bytes).unwrap(), 1, 64 << 10);
    let mut view = pieces.next().unwrap();
    assert!(pieces.next().is_none());
    let read_only = Rights::none().with(&(0..page), Protection::READ).unwrap();
    view.change(&read_only).unwrap();
    // The first page changes, the one behind the slot cannot.
    let beyond = (64 << 10)..(64 << 10) + page;
    let wrong = Rights::writable(page).unwrap().with(&beyond, Protection::READ).unwrap();
    assert!(view.change(&wrong).is_err());
    noted();
    view.change(&read_only).unwrap();
    assert_eq!(noted(), [Call::Protect, Call::Protect]);
    assert_eq!(super::maps::runs(view.address(), 2), ["1 r--", "1 ---"]);
    // SAFETY: nothing runs there.
    assert_eq!(unsafe { view.bytes_mut(0..page) }, None);
}

#[test]
fn a_slot_of_mapped_segments_takes_images_again_after_rights_that_failed_half_way() {
    let (page, slot_bytes) = (page_size(), 64 << 10);
    let region = Region::anonymous(Pieces::region_bytes(1, slot_bytes)).unwrap();
    let mut slot = Mapped::new(Pieces::new(region, 1, slot_bytes).next().unwrap());
    let program = program(8);
    let rights = Rights::of(&program.plan().pages(), page).unwrap();
    let beyond = slot_bytes..slot_bytes + page;
    let wrong = rights.with(&beyond, Protection::READ).unwrap();
    for _ in 0..2 {
        slot.place(&program.plan(), None).unwrap();
        assert!(slot.seal(&wrong).is_err());
        slot.release();
    }
    let base = slot.place(&program.plan(), None).unwrap();
    slot.seal(&rights).unwrap();
    assert_eq!(call(base + program.starts[0] as u64), 8);
    slot.release();
    assert_eq!(super::maps::runs(base, 16), ["16 ---"]);
}
