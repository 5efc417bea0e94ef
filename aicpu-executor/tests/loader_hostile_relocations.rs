//! Breaks the relocations of a valid image, one word at a time.
//!
//! Classes are those of design loader §4.1.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::PlanError::{
    CopyRelocation, IndirectRelocation, PackedRelocation, RelocationTarget, RelocationType,
    SymbolIndex, ThreadLocal, TooManyRelocations,
};
use aicpu_executor::loader::{Machine, PlanError, PlanLimits, SymbolName, commit, plan};
use support::Names;
use support::checked_memory::CheckedMemory;
use support::hostile::{Row, check};
use support::image_builder::{
    DATA, DT_RELASZ, DT_RELRSZ, MEMORY_END, RELRO, TEXT, TestImage, WORDS,
};

/// Moves the target of the relocation of an import, which must then be refused.
fn target(image: &mut TestImage, vaddr: u64) -> PlanError {
    let place = image.at.rela + 24 * 5;
    image.put64(place, vaddr);
    RelocationTarget { offset: place as u64, vaddr }
}

/// Replaces the function slot's relocation; returns its position in the file.
fn slot(image: &mut TestImage, symbol: u32, number: u32, addend: i64) -> u64 {
    image.put_rela(image.at.plt, (WORDS + 32, symbol, number, addend));
    image.at.plt as u64
}

/// Gives the packed table two words.
fn packed(image: &mut TestImage, words: [u64; 2]) -> u64 {
    image.put64(image.at.relr, words[0]);
    image.put64(image.at.relr + 8, words[1]);
    image.at.relr as u64
}

const ROWS: &[Row] = &[
    (12, "relocation into the text", |image| target(image, TEXT)),
    (12, "relocation into read-only data", |image| target(image, 0x200)),
    (17, "symbol directly behind the table", |image| {
        let number = image.numbers.jump_slot;
        SymbolIndex { offset: slot(image, 7, number, 0), symbol: 7, count: 7 }
    }),
    (17, "last possible symbol", |image| {
        let number = image.numbers.absolute;
        SymbolIndex { offset: slot(image, u32::MAX, number, 0), symbol: u32::MAX, count: 7 }
    }),
    (19, "relocation directly in front of the data", |image| target(image, RELRO - 8)),
    (19, "relocation straddling the start", |image| target(image, RELRO - 1)),
    (19, "relocation straddling the end", |image| target(image, MEMORY_END - 7)),
    (19, "relocation directly behind the data", |image| target(image, MEMORY_END)),
    (19, "relocation into a hole", |image| target(image, 0x3000)),
    (19, "relocation at the end of the address space", |image| target(image, u64::MAX - 7)),
    (19, "relocation that wraps", |image| target(image, u64::MAX)),
    (19, "relative relocation outside", |image| {
        let place = image.at.rela + 24 * 3;
        image.put64(place, MEMORY_END - 4);
        RelocationTarget { offset: place as u64, vaddr: MEMORY_END - 4 }
    }),
    (20, "unknown number", |image| {
        let offset = slot(image, 1, 9999, 0);
        RelocationType { offset, number: 9999, machine: image.machine }
    }),
    (20, "largest number", |image| {
        let offset = slot(image, 1, u32::MAX, 0);
        RelocationType { offset, number: u32::MAX, machine: image.machine }
    }),
    (20, "32-bit and PC-relative numbers", |image| {
        let number = match image.machine {
            Machine::X86_64 => 2,
            Machine::Aarch64 => 261,
        };
        RelocationType { offset: slot(image, 1, number, 0), number, machine: image.machine }
    }),
    (20, "number of the other machine", |image| {
        let number = match image.machine {
            Machine::X86_64 => 1027,
            Machine::Aarch64 => 8,
        };
        RelocationType { offset: slot(image, 0, number, 0), number, machine: image.machine }
    }),
    (21, "resolver function", |image| {
        let number = image.numbers.indirect;
        IndirectRelocation { offset: slot(image, 0, number, 0x2010), resolver: 0x2010 }
    }),
    (23, "copied variable", |image| {
        let number = image.numbers.copy;
        CopyRelocation { offset: slot(image, 1, number, 0), vaddr: WORDS + 32 }
    }),
    (23, "thread-local offset", |image| {
        let number = image.numbers.tls_offset;
        slot(image, 0, number, 0);
        ThreadLocal { name: SymbolName::EMPTY }
    }),
    (24, "bitmap first", |image| {
        let offset = packed(image, [0x3, DATA]);
        PackedRelocation { offset, value: 3 }
    }),
    (24, "address in the text", |image| {
        let offset = packed(image, [TEXT, 1]);
        RelocationTarget { offset, vaddr: TEXT }
    }),
    (24, "bitmap leaves the segment", |image| {
        // Bit 3 stands for the third word behind the address.
        let offset = packed(image, [MEMORY_END - 24, 1 | 1 << 1 | 1 << 2 | 1 << 3]);
        RelocationTarget { offset: offset + 8, vaddr: MEMORY_END }
    }),
    (24, "last address of all", |image| {
        let offset = packed(image, [u64::MAX - 7, 3]);
        RelocationTarget { offset, vaddr: u64::MAX - 7 }
    }),
];

#[test]
fn refuses_each_broken_relocation_by_name() {
    check(ROWS, &[12, 17, 19, 20, 21, 23, 24]);
}

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

/// Words from the start of the data to the end of the segment.
const DATA_WORDS: u64 = (MEMORY_END - DATA) / 8;

#[test]
fn an_odd_target_inside_the_segment_is_relocated() {
    // Packed structures have pointers at odd addresses; glibc relocates them as well.
    for vaddr in [DATA + 0x31, MEMORY_END - 8] {
        let mut image = TestImage::new(Machine::X86_64);
        image.put64(image.at.rela + 24 * 5, vaddr);
        let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
        let mut memory = CheckedMemory::new();
        commit(&plan, &mut memory, &Names(&[("imported", 0x1234_5678_9abc)])).unwrap();
        assert_eq!(memory.word(vaddr), 0x1234_5678_9abc - 4);
        assert_eq!(memory.violations, [""; 0]);
    }
}

#[test]
fn a_relocation_without_symbol_sees_address_zero() {
    let mut image = TestImage::new(Machine::X86_64);
    let number = image.numbers.absolute;
    slot(&mut image, 0, number, 0x77);
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
fn the_number_of_relocations_is_limited() {
    let image = TestImage::new(Machine::X86_64);
    for (relocations, accepted) in [(10, false), (11, true), (12, true)] {
        let limits = PlanLimits { relocations, ..PlanLimits::default() };
        let found = plan(&image.bytes, image.machine, &limits).map(|plan| plan.relocations());
        let refused = Err(TooManyRelocations { limit: relocations });
        assert_eq!(found, if accepted { Ok(11) } else { refused });
    }
}

#[test]
fn relocations_that_do_nothing_need_no_target() {
    let mut image = TestImage::new(Machine::X86_64);
    image.put_rela(image.at.plt, (u64::MAX, 0, 0, 0));
    image.set_dynamic(DT_RELASZ, 0);
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
    assert_eq!(plan.relocations(), 3);
}
