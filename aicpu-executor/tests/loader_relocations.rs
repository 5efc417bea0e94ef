//! Relocations that are valid and unusual, compared word by word in checked memory.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{Machine, PlanLimits, commit, plan};
use support::Names;
use support::checked_memory::CheckedMemory;
use support::image_builder::{DATA, DT_RELASZ, DT_RELRSZ, MEMORY_END, TestImage, WORDS};

/// Words from the start of the data to the end of the segment.
const DATA_WORDS: u64 = (MEMORY_END - DATA) / 8;

#[test]
fn a_bitmap_stands_for_63_words() {
    // Two bitmaps: the last bit of the first one, the first bit of the second.
    let mut image = TestImage::new(Machine::Aarch64);
    image.put64(image.at.relr, DATA);
    image.put64(image.at.relr + 8, 1 | 1 << 63);
    // The table has room for two words, so the third goes where the unwind header was.
    image.put64(image.at.relr + 16, 1 | 1 << 1);
    image.put32(image.program(5), 0);
    image.set_dynamic(DT_RELRSZ, 24);
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
    assert_eq!(plan.relocations(), 8 + 3);
    let mut memory = CheckedMemory::new();
    commit(&plan, &mut memory, &Names(&[("imported", 1)])).unwrap();
    let changed: Vec<u64> =
        (0..DATA_WORDS).filter(|word| memory.word(DATA + 8 * word) >= memory.base).collect();
    assert_eq!(changed, [0, 63, 64]);
}

#[test]
fn a_relocation_without_symbol_sees_address_zero() {
    let mut image = TestImage::new(Machine::X86_64);
    let number = image.numbers.absolute;
    image.put_rela(image.at.plt, (WORDS + 32, 0, number, 0x77));
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
    let mut memory = CheckedMemory::new();
    commit(&plan, &mut memory, &Names(&[("imported", 1)])).unwrap();
    assert_eq!(memory.word(WORDS + 32), 0x77);
}

#[test]
fn an_absolute_symbol_does_not_move_with_the_image() {
    let mut image = TestImage::new(Machine::Aarch64);
    let place = image.symbol_place("table");
    image.put16(place + 6, 0xfff1);
    image.put64(place + 8, 0xabc0);
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
    let mut memory = CheckedMemory::new();
    commit(&plan, &mut memory, &Names(&[("imported", 1)])).unwrap();
    assert_eq!(memory.word(WORDS + 8), 0xabc8);
}

#[test]
fn relocations_that_do_nothing_need_no_target() {
    let mut image = TestImage::new(Machine::X86_64);
    image.put_rela(image.at.plt, (u64::MAX, 0, 0, 0));
    image.set_dynamic(DT_RELASZ, 0);
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
    assert_eq!(plan.relocations(), 3);
}
