//! Slots that are written to through their file: no writable address of code, whole images whatever
//! the system does to a call, and nothing of the image before.

use std::string::String;
use std::vec;
use std::vec::Vec;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Plan};
use proptest::prelude::*;
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::param::page_size;

use super::super::SlotConfig;
use super::super::code_files::{CodeFiles, MemoryFiles};
use super::super::region::Region;
use super::super::rights::Rights;
use super::super::view::Pieces;
use super::super::written::Written;
use super::faulty_code_files::{Fault, FaultyCodeFiles};
use super::image::{Built, HEADERS_END, Piece, build};
use super::maps::{kilobytes, rights_at, rights_of_file_at, runs};
use super::{all_ways, call, load, read, slot};

/// Bytes of the slots here.
const SLOT_BYTES: usize = 16 << 20;

/// A slot by itself that keeps so much memory.
fn written<F: CodeFiles>(files: F, retain_bytes: usize) -> Written<F> {
    let bytes = Pieces::region_bytes(1, SLOT_BYTES);
    let [code, draft] = [Region::anonymous(bytes), Region::drafts(bytes)]
        .map(|region| Pieces::new(region.unwrap(), 1, SLOT_BYTES).next().unwrap());
    let config = SlotConfig { slot_bytes: SLOT_BYTES, retain_bytes, ..SlotConfig::DEFAULT };
    Written::new(code, draft, config, files)
}

fn seal<F: CodeFiles>(slot: &mut Written<F>, plan: &Plan<'_>) -> Result<(), MemoryError> {
    slot.seal(plan, &Rights::of(&plan.pages(), page_size()).unwrap())
}

fn run<F: CodeFiles>(slot: &mut Written<F>, image: &Image) -> Result<u64, MemoryError> {
    let plan = image.built.plan();
    let base = slot.place(&plan)?;
    seal(slot, &plan)?;
    Ok(base)
}

/// An image, and what memory must hold of it.
struct Image {
    built: Built,
    pieces: Vec<Piece>,
}

impl Image {
    fn new(pieces: Vec<Piece>) -> Self {
        Self { built: build(&pieces, None), pieces }
    }

    /// Compares every byte of every page of the loaded image, wherever it may be read.
    fn check(&self, base: u64) {
        let page = page_size();
        let headers = &self.built.bytes[..HEADERS_END];
        assert_eq!(read(base, page), padded(0, headers, page - HEADERS_END));
        for (piece, start) in self.pieces.iter().zip(&self.built.starts) {
            let bytes = piece.lead + piece.file.len() + piece.zeros;
            let zeros = bytes.next_multiple_of(page) - piece.lead - piece.file.len();
            let expected = padded(piece.lead, &piece.file, zeros);
            let found = read(base + (start - piece.lead) as u64, expected.len());
            assert!(found == expected, "piece at {start:#x}");
        }
    }

    /// Where writable pieces are: offset and bytes.
    fn writable(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.pieces.iter().zip(&self.built.starts);
        all.filter(|(piece, _)| piece.flags & 2 != 0)
            .map(|(piece, start)| (*start, piece.file.len() + piece.zeros))
    }
}

/// Zeros, bytes, zeros.
fn padded(front: usize, bytes: &[u8], back: usize) -> Vec<u8> {
    [&vec![0; front][..], bytes, &vec![0; back]].concat()
}

/// Writes to data of a sealed image as its code would.
fn scribble(address: u64, bytes: usize) {
    let start = core::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: writable pages of an image that is loaded; nothing refers to them.
    unsafe { start.write_bytes(0x5A, bytes) };
}

/// One page of code, three of constants, a gap, four of data; zeros from within the second page.
fn program(number: u16) -> Image {
    let (page, file) = (page_size(), page_size() + 900);
    let data = Piece { lead: 40, gap: 1, zeros: 2 * page, ..Piece::new(6, &vec![0xAA; file]) };
    let constants = Piece { zeros: file, ..Piece::new(4, &vec![1; file]) };
    Image::new(vec![Piece::code(number), constants, data])
}

#[test]
fn no_address_of_code_is_writable_at_any_time() {
    let program = build(&[Piece::code(1), Piece::new(4, &[1; 5000])], None);
    let mut slot = slot(all_ways()[0]);
    for round in ["first", "second"] {
        let base = slot.place(&program.plan()).unwrap();
        let seen = |expected: &[&str]| assert_eq!(rights_of_file_at(base), expected, "{round}");
        let placed: &[&str] =
            if round == "first" { &["---"] } else { &["r--", "r-x", "r--", "---"] };
        seen(placed);
        slot.seal(&program.plan()).unwrap();
        seen(&["r--", "r-x", "r--", "---"]);
        slot.release();
        seen(&["r--", "r-x", "r--", "---"]);
    }
}

#[test]
fn the_rest_of_the_draft_has_no_rights() {
    let (program, page) = (program(2), page_size() as u64);
    let mut slot = written(MemoryFiles, 1 << 20);
    slot.place(&program.built.plan()).unwrap();
    let (draft, span) = (slot.draft_address(), program.built.plan().span() as u64);
    assert_eq!(runs(draft, span / page + 1), [std::format!("{} rw-", span / page), "1 ---".into()]);
    for guard in [draft - 1, draft + SLOT_BYTES as u64] {
        assert_eq!(rights_at(guard), "---");
    }
}

#[test]
fn what_an_image_writes_is_in_its_own_memory_alone_and_gone_with_the_next_load() {
    let program = program(3);
    let mut slot = written(MemoryFiles, 1 << 20);
    for _ in 0..3 {
        let base = run(&mut slot, &program).unwrap();
        program.check(base);
        assert_eq!(call(base + program.built.starts[0] as u64), 3);
        for (start, bytes) in program.writable() {
            scribble(base + start as u64, bytes);
            let draft = slot.lend(start..start + bytes).unwrap();
            assert!(draft.iter().all(|byte| *byte != 0x5A));
        }
        slot.release();
    }
}

#[test]
fn s6_interrupted_and_short_writes_are_continued() {
    let program = program(4);
    // Calls 0 and 1 make the file.
    for (turns, fault, calls) in [
        (2..5, Fault::Error(Errno::INTR), 3),
        (2..3, Fault::Short(1), 1),
        (2..5, Fault::Short(4097), 3),
        (2..usize::MAX, Fault::Short(1999), 10),
    ] {
        let mut slot = written(FaultyCodeFiles::new(turns, fault), 1 << 20);
        let base = run(&mut slot, &program).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(slot.files().calls.borrow().len() > 2 + calls, "{fault:?}");
        program.check(base);
        assert_eq!(call(base + program.built.starts[0] as u64), 4);
    }
}

#[test]
fn a_failed_call_is_a_typed_error_and_the_slot_takes_the_next_image() {
    let (large, page) = (program(5), page_size());
    // Two runs of pages that have file bytes: two writes.
    let (first, second) = ((0, 4 * page), (6 * page, 2 * page));
    let reserve = (MemoryOperation::Reserve, (0, SLOT_BYTES));
    let write = |(offset, length)| (MemoryOperation::Write, (offset, length));
    let rows = [
        (0, Fault::Error(Errno::MFILE), reserve, 24),
        (1, Fault::Error(Errno::NOMEM), reserve, 12),
        (2, Fault::Error(Errno::NOSPC), write(first), 28),
        (2, Fault::Short(0), write(first), 28),
        (3, Fault::Error(Errno::FBIG), write(second), 27),
    ];
    for (turn, fault, (operation, (offset, length)), os_error) in rows {
        let mut slot = written(FaultyCodeFiles::new(turn..turn + 1, fault), 0);
        let error = MemoryError { operation, offset, length, os_error };
        assert_eq!(run(&mut slot, &large), Err(error), "{turn}");
        slot.release();
        let next = program(6);
        let base = run(&mut slot, &next).unwrap();
        next.check(base);
        assert_eq!(call(base + next.built.starts[0] as u64), 6);
    }
    let endless = FaultyCodeFiles::new(2..usize::MAX, Fault::Error(Errno::INTR));
    let error = run(&mut written(endless, 0), &large).unwrap_err();
    assert_eq!((error.operation, error.os_error), (MemoryOperation::Write, 4));
}

#[test]
fn memory_that_could_not_be_given_back_is_zeroed_and_given_back_later() {
    let page = page_size();
    let full = Image::new(vec![Piece::new(6, &vec![0xEE; 20 * page])]);
    let zeros = Image::new(vec![Piece { zeros: 20 * page, ..Piece::new(6, &[]) }]);
    // Create, map, write, punch.
    let files = FaultyCodeFiles::new(3..4, Fault::Error(Errno::INTR));
    let mut slot = written(files, 0);
    run(&mut slot, &full).unwrap();
    slot.release();
    let base = run(&mut slot, &zeros).unwrap();
    zeros.check(base);
    slot.release();
    assert_eq!(fstat(slot.file().unwrap()).unwrap().st_blocks, 0);
}

#[test]
fn zeros_of_an_image_cost_no_memory_and_words_among_them_are_kept() {
    let zeros = Piece { zeros: 8 << 20, ..Piece::new(6, &[0xBB; 100]) };
    let constants = Piece { zeros: 2 << 20, ..Piece::new(4, &[0xCC; 100]) };
    let image = Image::new(vec![Piece::code(7), constants, zeros]);
    let (plan, start) = (image.built.plan(), image.built.starts[2]);
    let mut slot = written(MemoryFiles, 0);
    let base = slot.place(&plan).unwrap();
    let far = start + (5 << 20);
    slot.lend(far..far + 8).unwrap().fill(0xDD);
    seal(&mut slot, &plan).unwrap();
    let used = |slot: &Written<_>| fstat(slot.file().unwrap()).unwrap().st_blocks * 512;
    // Headers, code, constants, data, and the word.
    assert_eq!(used(&slot), 5 * page_size() as i64);
    let found = read(base + start as u64, (8 << 20) + 100);
    let expected = |index| match index {
        0..100 => 0xBB,
        index if (5 << 20..(5 << 20) + 8).contains(&index) => 0xDD,
        _ => 0,
    };
    assert!(found.iter().enumerate().all(|(index, byte)| *byte == expected(index)));
    slot.release();
    let base = slot.place(&plan).unwrap();
    let draft = slot.draft_address();
    let in_draft = kilobytes("Rss", draft, draft + SLOT_BYTES as u64) * 1024;
    assert_eq!(in_draft, page_size() as u64, "the word is gone, and its page");
    seal(&mut slot, &plan).unwrap();
    assert_eq!(used(&slot), 4 * page_size() as i64);
    image.check(base);
}

#[test]
fn sealing_another_image_than_the_placed_one_writes_nothing() {
    let page = page_size();
    let pieces =
        |first, second| Image::new(vec![Piece::new(first, &[1; 99]), Piece::new(second, &[2; 99])]);
    let (placed, other) = (pieces(6, 4), pieces(4, 6));
    assert_eq!(placed.built.plan().span(), other.built.plan().span());
    let mut slot = slot(all_ways()[0]);
    slot.place(&placed.built.plan()).unwrap();
    let error = MemoryError {
        operation: MemoryOperation::Protect,
        offset: 0,
        length: 3 * page,
        os_error: 0,
    };
    assert_eq!(slot.seal(&other.built.plan()), Err(error));
    slot.release();
    let base = load(&mut slot, &other.built.plan()).unwrap();
    other.check(base);
}

/// Any piece that is not code: up to three pages of bytes, and up to three of zeros.
fn piece() -> impl Strategy<Value = Piece> {
    let page = page_size();
    let sizes = (0..3 * page, prop_oneof![Just(0), 0..3 * page]);
    (prop::bool::ANY, 0..3_usize, 0..page, sizes, 1..=u8::MAX).prop_map(
        |(is_writable, gap, lead, (file, zeros), byte)| {
            let flags = if is_writable { 6 } else { 4 };
            let zeros = if file + zeros == 0 { 1 } else { zeros };
            Piece { gap, lead, zeros, ..Piece::new(flags, &vec![byte; file]) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_image_after_any_other_is_in_memory_as_it_is_in_its_file(
        images in prop::collection::vec((prop::bool::ANY, prop::collection::vec(piece(), 1..6)), 1..6),
        retained in 0..20_usize,
        limit in 1..30_000_usize,
    ) {
        let files = FaultyCodeFiles::new(0..usize::MAX, Fault::Short(limit));
        let mut slot = written(files, retained * page_size());
        for (is_bound, pieces) in images {
            let image = Image::new(pieces);
            let plan = image.built.plan();
            let base = slot.place(&plan).unwrap();
            for (start, bytes) in image.writable().filter(|_| is_bound) {
                slot.lend(start..start + bytes).unwrap().fill(0x66);
            }
            seal(&mut slot, &plan).unwrap();
            if !is_bound {
                image.check(base);
            }
            for (start, bytes) in image.writable() {
                let found = read(base + start as u64, bytes);
                prop_assert!(!is_bound || found.iter().all(|byte| *byte == 0x66));
                scribble(base + start as u64, bytes);
            }
            slot.release();
        }
    }
}

#[test]
fn the_draft_gives_back_what_it_need_not_keep() {
    let page = page_size();
    let image = Image::new(vec![Piece::new(6, &vec![0xAA; 40 * page])]);
    let mut slot = written(MemoryFiles, 10 * page);
    run(&mut slot, &image).unwrap();
    let draft = slot.draft_address();
    let bytes = slot.lend(0..41 * page).unwrap().to_vec();
    let kept: Vec<bool> =
        bytes.chunks(page).map(|page| page.iter().any(|each| *each != 0)).collect();
    let expected: Vec<bool> = (0..41).map(|page| (1..10).contains(&page)).collect();
    assert_eq!(kept, expected);
    assert_eq!(rights_at(draft), String::from("rw-"));
}
