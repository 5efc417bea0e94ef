//! Sealed images: unchangeable, mapped rather than copied, text shared and data never.

use std::vec;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation};
use rustix::fs::ftruncate;
use rustix::io::{Errno, pwrite};
use rustix::param::page_size;

use super::super::{FileSlot, SealedImage, SlotConfig};
use super::image::{Built, Piece, build, plan_of};
use super::maps::{kilobytes, runs};
use super::{call, load, read};

/// Code, four pages of constants, sealed words, three pages of data with zeros behind.
fn program(number: u16) -> Built {
    let page = page_size();
    let data = Piece { lead: 16, zeros: 9000, ..Piece::new(6, &vec![0xAA; 3 * page - 300]) };
    build(&[Piece::code(number), Piece::new(4, &vec![1; 4 * page]), data], Some((2, 1)))
}

fn file_slot(image: &SealedImage) -> FileSlot<'_> {
    FileSlot::new(image, SlotConfig::DEFAULT).unwrap()
}

#[test]
fn a_sealed_image_cannot_be_changed() {
    let program = program(1);
    let image = SealedImage::new(&program.bytes).unwrap();
    assert_eq!(pwrite(image.file(), b"x", 0), Err(Errno::PERM));
    assert_eq!(ftruncate(image.file(), 0), Err(Errno::PERM));
    assert_eq!(ftruncate(image.file(), 1 << 30), Err(Errno::PERM));
    assert_eq!(image.as_bytes(), program.bytes);
    let empty = MemoryOperation::SealFile;
    let error = MemoryError { operation: empty, offset: 0, length: 0, os_error: 0 };
    assert_eq!(SealedImage::new(&[]).unwrap_err(), error);
}

#[test]
fn a_mapped_image_runs_with_its_rights_and_zeros() {
    let (program, page) = (program(2), page_size());
    let image = SealedImage::new(&program.bytes).unwrap();
    let plan = plan_of(image.as_bytes());
    let mut slot = file_slot(&image);
    for _ in 0..2 {
        let base = slot.place(&plan).unwrap();
        let start = program.starts[2];
        let data = slot.writable(start, 3 * page - 300 + 9000).unwrap();
        assert!(data[..3 * page - 300].iter().all(|byte| *byte == 0xAA));
        assert!(data[3 * page - 300..].iter().all(|byte| *byte == 0));
        // For the second round, which must not see it.
        data.fill(0x55);
        slot.seal(&plan).unwrap();
        let span = plan.span() as u64 / page as u64;
        assert_eq!(runs(base, span + 1), ["1 r--", "1 r-x", "5 r--", "5 rw-", "1 ---"]);
        assert_eq!(call(base + program.starts[0] as u64), 2);
        slot.release();
        assert_eq!(runs(base, span), [std::format!("{span} ---")]);
    }
    assert_eq!(image.as_bytes(), program.bytes, "writing went to copies");
}

#[test]
fn two_slots_share_the_text_of_an_image_and_not_its_data() {
    let (program, page) = (program(3), page_size() as u64);
    let image = SealedImage::new(&program.bytes).unwrap();
    let plan = plan_of(image.as_bytes());
    let mut slots = [file_slot(&image), file_slot(&image)];
    let bases = slots.each_mut().map(|slot| {
        let base = slot.place(&plan).unwrap();
        slot.writable(program.starts[2], 100).unwrap().fill(0x66);
        slot.seal(&plan).unwrap();
        assert_eq!(call(base + program.starts[0] as u64), 3);
        // Headers, code and constants come into memory.
        read(base, 6 * page as usize);
        base
    });
    for base in bases {
        let of = |field, first: u64, pages: u64| {
            kilobytes(field, base + first * page, base + (first + pages) * page) * 1024 / page
        };
        // They are there, and not for this slot alone.
        assert_eq!(of("Rss", 0, 6), 6);
        assert_eq!(of("Private_Clean", 0, 6) + of("Private_Dirty", 0, 6), 0);
        // The page that was written to, sealed since.
        assert_eq!(of("Private_Dirty", 6, 1), 1);
        assert_eq!(of("Shared_Dirty", 6, 1) + of("Shared_Clean", 6, 1), 0);
    }
    let data = |base| read(base + program.starts[2] as u64, 2);
    slots[0].release();
    let base = slots[0].place(&plan).unwrap();
    slots[0].seal(&plan).unwrap();
    assert_eq!([data(base), data(bases[1])], [[0xAA, 0xAA], [0x66, 0x66]]);
}

#[test]
fn a_segment_that_is_elsewhere_in_its_page_is_copied() {
    let page = page_size();
    let pieces = [Piece::code(4), Piece::new(4, &[1; 5000]), Piece::new(6, &[2; 5000])];
    let pieces = pieces.map(|piece| Piece { is_incongruent: true, lead: 64, ..piece });
    let read_only_zeros = Piece { zeros: page, ..Piece::new(4, &[3; 100]) };
    let program = build(&[&pieces[..], &[read_only_zeros]].concat(), None);
    let image = SealedImage::new(&program.bytes).unwrap();
    let plan = plan_of(image.as_bytes());
    let mut slot = file_slot(&image);
    let base = load(&mut slot, &plan).unwrap();
    assert_eq!(call(base + program.starts[0] as u64), 4);
    for (start, byte, length) in
        [(program.starts[1], 1, 5000), (program.starts[2], 2, 5000), (program.starts[3], 3, 100)]
    {
        let found = read(base + start as u64, length + 50);
        assert!(found[..length].iter().all(|each| *each == byte), "{byte}");
        assert!(found[length..].iter().all(|each| *each == 0), "{byte}");
    }
    assert_eq!(runs(base, 9), ["1 r--", "1 r-x", "2 r--", "2 rw-", "2 r--", "1 ---"]);
}

#[test]
fn the_plan_of_other_bytes_is_copied() {
    let (program, other) = (program(5), program(6));
    let image = SealedImage::new(&program.bytes).unwrap();
    let mut slot = file_slot(&image);
    let base = load(&mut slot, &other.plan()).unwrap();
    assert_eq!(call(base + other.starts[0] as u64), 6);
    assert_eq!(read(base + other.starts[2] as u64, 2), [0xAA, 0xAA]);
    slot.release();
    let base = load(&mut slot, &plan_of(image.as_bytes())).unwrap();
    assert_eq!(call(base + program.starts[0] as u64), 5);
}
