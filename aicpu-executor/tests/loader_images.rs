//! Loads hand-made images of both machines into checked memory and compares every word.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{
    EhFrame, Export, ExportError, Import, LoadError, LoadedImage, Machine, MemoryError,
    MemoryOperation, Plan, PlanLimits, Protection, SymbolKind, commit, plan,
};
use support::Names;
use support::checked_memory::CheckedMemory;
use support::image_builder as builder;
use support::image_builder::{DATA, PACKED, RELRO, SPAN, TEXT, TestImage, WORDS};

const MACHINES: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];
const IMPORTED: u64 = 0x5555_0000_1000;
const SYMBOLS: Names = Names(&[("imported", IMPORTED)]);

fn planned(image: &TestImage) -> Plan<'_> {
    plan(&image.bytes, image.machine, &PlanLimits::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn committed(image: &TestImage, memory: &mut CheckedMemory) -> LoadedImage {
    let image = commit(&planned(image), memory, &SYMBOLS).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(memory.violations, [""; 0]);
    image
}

#[test]
fn describes_a_valid_image() {
    for machine in MACHINES {
        let image = TestImage::new(machine);
        let plan = planned(&image);
        assert_eq!(plan.machine(), machine);
        assert_eq!((plan.span(), plan.align(), plan.page_bytes()), (SPAN, 4096, 4096));
        // Eight in the tables, three in the packed one.
        assert_eq!(plan.relocations(), 11);
        assert_eq!(plan.build_id(), Some(&builder::BUILD_ID[..]));
        assert_eq!(plan.soname(), Some(&b"libtest.so"[..]));
        assert_eq!(plan.needed().collect::<Vec<_>>(), [b"libc.so.6"]);
        let imports = [(&b"imported"[..], false), (b"optional", true)].map(|(name, weak)| Import {
            name,
            weak,
            version: None,
        });
        assert_eq!(plan.imports().collect::<Vec<_>>(), imports);
        let header = image.at.eh_frame_hdr as u64;
        let frame = EhFrame {
            header_vaddr: header,
            header_bytes: 12,
            frame_vaddr: header + 16,
            frame_bytes: Some(44),
        };
        assert_eq!(plan.eh_frame(), Some(frame));
        let rights: Vec<_> = plan.segments().iter().map(|each| each.protection.bits()).collect();
        assert_eq!(rights, [1, 1 | 4, 1 | 2]);
    }
}

#[test]
fn finds_exports_through_either_hash_table() {
    let image = TestImage::new(Machine::X86_64);
    let mut sysv_only = image.clone();
    sysv_only.replace_dynamic(builder::DT_GNU_HASH, 0x6000_0002, 0);
    let mut gnu_only = image.clone();
    gnu_only.replace_dynamic(builder::DT_HASH, 0x6000_0002, 0);
    for image in [image, sysv_only, gnu_only] {
        let plan = planned(&image);
        let entry = Export { vaddr: TEXT, kind: SymbolKind::Function, size: 16 };
        let config = Export { vaddr: TEXT + 16, ..entry };
        let table = Export { vaddr: DATA, kind: SymbolKind::Object, size: 16 };
        let unique = Export { vaddr: DATA + 0x40, kind: SymbolKind::Object, size: 8 };
        assert_eq!(plan.export(b"entry"), Some(entry));
        assert_eq!(plan.exported_function(b"entry"), Ok(entry));
        assert_eq!(plan.exported_function(b"config"), Ok(config));
        assert_eq!(plan.export(b"table"), Some(table));
        assert_eq!(plan.export(b"unique"), Some(unique));
        assert_eq!(plan.exported_function(b"table"), Err(ExportError::NotFunction(1)));
        for name in ["imported", "optional", "entr", "entry2", ""] {
            assert_eq!(plan.export(name.as_bytes()), None, "{name}");
            assert_eq!(plan.exported_function(name.as_bytes()), Err(ExportError::Missing));
        }
    }
}

#[test]
fn relocates_every_word_on_both_machines() {
    for machine in MACHINES {
        let image = TestImage::new(machine);
        let mut memory = CheckedMemory::new();
        let base = memory.base;
        let loaded = committed(&image, &mut memory);
        assert_eq!((loaded.base(), loaded.bias(), loaded.span()), (base, base, SPAN));
        let expected = [
            (WORDS, base + DATA - 4),
            (WORDS + 8, base + DATA + 8),
            (WORDS + 16, IMPORTED - 4),
            (WORDS + 24, 0),
            (WORDS + 32, IMPORTED),
            (PACKED[0], base + 0x100),
            (PACKED[1], base + 0x200),
            (PACKED[1] + 8, 0),
            (PACKED[2], base + 0x300),
        ];
        for (vaddr, value) in expected {
            assert_eq!(memory.word(vaddr), value, "{machine} {vaddr:#x}");
        }
        let init: Vec<_> = [80, 32, 48].map(|offset| base + TEXT + offset).into();
        let fini: Vec<_> = [64, 96].map(|offset| base + TEXT + offset).into();
        assert_eq!(loaded.init_functions().collect::<Vec<_>>(), init);
        assert_eq!(loaded.fini_functions().collect::<Vec<_>>(), fini);
        assert_eq!(loaded.eh_frame().map(|each| each.frame), Some(base + image.at.eh_frame as u64));
    }
}

#[test]
fn addends_of_slots_count_on_aarch64_only() {
    // psABI of x86-64: GLOB_DAT and JUMP_SLOT are "S"; AAELF64: "S + A".
    for (machine, addend) in [(Machine::X86_64, 0), (Machine::Aarch64, 0x20)] {
        let mut image = TestImage::new(machine);
        image.put64(image.at.plt + 16, 0x20);
        let mut memory = CheckedMemory::new();
        committed(&image, &mut memory);
        assert_eq!(memory.word(WORDS + 32), IMPORTED + addend, "{machine}");
    }
}

#[test]
fn a_resolver_may_offer_a_weak_symbol() {
    let image = TestImage::new(Machine::Aarch64);
    let mut memory = CheckedMemory::new();
    let symbols = Names(&[("imported", 16), ("optional", 32), ("table", 48)]);
    commit(&planned(&image), &mut memory, &symbols).unwrap();
    assert_eq!(memory.word(WORDS + 24), 32);
    // What the image defines is not asked for.
    assert_eq!(memory.word(WORDS + 8), memory.base + DATA + 8);
}

#[test]
fn seals_every_page_and_leaves_nothing_of_the_memory_before() {
    for machine in MACHINES {
        let mut image = TestImage::new(machine);
        // Non-zero file bytes around the segments must not be copied.
        image.bytes[0x1100..0x2000].fill(0xee);
        let mut memory = CheckedMemory::new();
        committed(&image, &mut memory);
        let (none, read) = (Protection::empty(), Protection::READ);
        let expected =
            [read, none, read | Protection::EXECUTE, none, read, read | Protection::WRITE];
        assert_eq!(memory.pages, expected);
        let zero =
            |range: std::ops::Range<usize>| memory.bytes()[range].iter().all(|byte| *byte == 0);
        assert!(zero(image.at.header_end..0x1000));
        assert!(zero(0x2100..0x3000));
        assert!(zero(builder::DATA_FILE_END as usize..SPAN));
        assert_eq!(memory.bytes()[..0x40], image.bytes[..0x40]);
        assert_eq!(memory.bytes()[0x2000..0x2100], image.bytes[0x1000..0x1100]);
    }
}

#[test]
fn keeps_the_writable_rest_when_relro_ends_inside_a_page() {
    for (bytes, sealed) in [(0xfff, false), (0x1000, true), (0x1001, true), (0x17ff, true)] {
        let mut image = TestImage::new(Machine::X86_64);
        image.set_program(7, 32, 0);
        image.set_program(7, 40, bytes);
        let mut memory = CheckedMemory::new();
        committed(&image, &mut memory);
        let page = RELRO as usize / 4096;
        assert_eq!(memory.pages[page] == Protection::READ, sealed, "{bytes:#x}");
        assert!(memory.pages[page + 1].contains(Protection::WRITE), "{bytes:#x}");
    }
    // Up to the last byte of the segment there is nothing left to write on its last page.
    let mut image = TestImage::new(Machine::X86_64);
    image.put64(image.program(7) + 40, 0x1800);
    let mut memory = CheckedMemory::new();
    committed(&image, &mut memory);
    assert_eq!(memory.pages[5], Protection::READ);
}

#[test]
fn relro_that_starts_inside_a_segment_spares_the_bytes_in_front_of_it() {
    let mut image = TestImage::new(Machine::X86_64);
    let place = image.program(7);
    for (vaddr, bytes, sealed) in [(RELRO, 0x1000, true), (RELRO + 8, 0xff8, false)] {
        image.put64(place + 16, vaddr);
        image.put64(place + 32, bytes);
        image.put64(place + 40, bytes);
        let mut memory = CheckedMemory::new();
        committed(&image, &mut memory);
        assert_eq!(memory.pages[4] == Protection::READ, sealed, "{vaddr:#x}");
    }
}

#[test]
fn finalisers_run_against_the_order_of_their_array() {
    let mut image = TestImage::new(Machine::X86_64);
    image.set_dynamic(builder::DT_FINI_ARRAY, builder::INIT_ARRAY);
    image.set_dynamic(builder::DT_FINI_ARRAYSZ, 16);
    let mut memory = CheckedMemory::new();
    let loaded = committed(&image, &mut memory);
    let expected: Vec<_> = [48, 32, 96].map(|offset| memory.base + TEXT + offset).into();
    assert_eq!(loaded.fini_functions().collect::<Vec<_>>(), expected);
}

#[test]
fn finds_the_unwind_table_through_every_kind_of_pointer() {
    let image = TestImage::new(Machine::X86_64);
    let (header, frame) = (image.at.eh_frame_hdr as u64, image.at.eh_frame as u64);
    let rows = [(0x1b, frame - header - 4), (0x3b, frame - header), (0x03, frame)];
    for (encoding, value) in rows {
        let mut image = image.clone();
        image.bytes[header as usize + 1] = encoding;
        image.put32(header as usize + 4, value as u32);
        let found = planned(&image).eh_frame().map(|each| each.frame_vaddr);
        assert_eq!(found, Some(frame), "{encoding:#x}");
    }
}

#[test]
fn reports_all_missing_symbols_before_taking_memory() {
    let mut image = TestImage::new(Machine::X86_64);
    // Makes the weak one strong.
    image.bytes[image.at.symbols + 24 * 2 + 4] = 0x10;
    let mut memory = CheckedMemory::new();
    match commit(&planned(&image), &mut memory, &Names(&[])) {
        Err(LoadError::Unresolved(missing)) => {
            assert_eq!(missing.total(), 2);
            assert_eq!(missing.names().collect::<Vec<_>>(), [&b"imported"[..], b"optional"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(memory.operations.get(), 0);
}

#[test]
fn a_failure_of_any_operation_releases_the_memory() {
    let image = TestImage::new(Machine::Aarch64);
    let plan = planned(&image);
    let mut whole = CheckedMemory::new();
    commit(&plan, &mut whole, &SYMBOLS).unwrap();
    let operations = whole.operations.get();
    assert!(operations > 3, "{operations}");
    for turn in 1..=operations {
        let mut memory = CheckedMemory::new();
        memory.fail_at = Some(turn);
        let error = commit(&plan, &mut memory, &SYMBOLS).unwrap_err();
        assert!(
            matches!(error, LoadError::Memory(MemoryError { os_error: 12, .. })),
            "{turn}: {error}"
        );
        assert!(!memory.is_reserved, "{turn}");
        assert_eq!(memory.violations, [""; 0]);
        // The slot can be used again.
        memory.fail_at = None;
        assert!(commit(&plan, &mut memory, &SYMBOLS).is_ok());
        assert_eq!(memory.bytes(), whole.bytes());
    }
}

#[test]
fn refuses_an_occupied_slot_and_leaves_it_alone() {
    struct Occupied(CheckedMemory);
    let image = TestImage::new(Machine::X86_64);
    let mut memory = Occupied(CheckedMemory::new());
    committed(&image, &mut memory.0);
    let before = memory.0.bytes().to_vec();
    memory.0.fail_at = Some(memory.0.operations.get() + 1);
    let error = commit(&planned(&image), &mut memory.0, &SYMBOLS).unwrap_err();
    let expected =
        MemoryError { operation: MemoryOperation::Place, offset: 0, length: SPAN, os_error: 12 };
    assert_eq!(error, LoadError::Memory(expected));
    assert!(memory.0.is_reserved && memory.0.bytes() == before);
}

#[test]
fn refuses_memory_that_does_not_keep_its_word() {
    let image = TestImage::new(Machine::X86_64);
    let plan = planned(&image);
    for base in [0x1000_0001, 0x1000_0800, u64::MAX - 0xfff] {
        let mut memory = CheckedMemory::new();
        memory.base = base;
        let error = commit(&plan, &mut memory, &SYMBOLS).unwrap_err();
        assert_eq!(error, LoadError::BaseAddress { base, align: 4096 });
        assert!(!memory.is_reserved);
    }
    for page_bytes in [8192, 65536] {
        let mut memory = CheckedMemory::new();
        memory.page_bytes = page_bytes;
        let error = commit(&plan, &mut memory, &SYMBOLS).unwrap_err();
        assert_eq!(error, LoadError::PageSize { planned: 4096, memory: page_bytes });
        assert_eq!(memory.operations.get(), 0);
    }
}

#[test]
fn refuses_function_arrays_that_leave_the_text() {
    let machine = Machine::X86_64;
    let cases = [
        ("in the data", DATA as i64),
        ("directly in front", TEXT as i64 - 1),
        ("directly behind", TEXT as i64 + 0x100),
        ("outside the image", 0x10_0000),
        ("negative", -8),
    ];
    for (name, addend) in cases {
        for (entry, tag, index) in
            [(0, "DT_INIT_ARRAY", 0), (1, "DT_INIT_ARRAY", 1), (2, "DT_FINI_ARRAY", 0)]
        {
            let mut image = TestImage::new(machine);
            image.put64(image.at.rela + 24 * entry + 16, addend as u64);
            let mut memory = CheckedMemory::new();
            let address = memory.base.wrapping_add(addend as u64);
            match commit(&planned(&image), &mut memory, &SYMBOLS) {
                Err(LoadError::FunctionOutsideText { tag: found, index: at, address: value }) => {
                    assert_eq!((found.to_string().as_str(), at, value), (tag, index, address));
                }
                other => panic!("{name}: {other:?}"),
            }
            assert!(!memory.is_reserved);
        }
    }
}

#[test]
fn an_image_linked_above_zero_keeps_its_distances() {
    // Moves every segment up by 0x30000 except that nothing inside needs to know: only addresses
    // in headers and tables are changed, through a bias that the test computes itself.
    const UP: u64 = 0x3_0000;
    let mut image = TestImage::new(Machine::X86_64);
    let get = |image: &TestImage, place: usize| {
        u64::from_le_bytes(image.bytes[place..place + 8].try_into().unwrap())
    };
    for index in [0, 1, 2, 3, 4, 5, 7] {
        let place = image.program(index) + 16;
        let value = get(&image, place) + UP;
        image.put64(place, value);
    }
    for tag in [4, 5, 6, 7, 12, 13, 23, 25, 26, 36, builder::DT_GNU_HASH] {
        let place = image.dynamic(tag) + 8;
        let value = get(&image, place) + UP;
        image.put64(place, value);
    }
    for symbol in 3..7 {
        let place = image.at.symbols + 24 * symbol + 8;
        let value = get(&image, place) + UP;
        image.put64(place, value);
    }
    for entry in 0..8 {
        let table = if entry == 7 { image.at.plt } else { image.at.rela + 24 * entry };
        let value = get(&image, table) + UP;
        image.put64(table, value);
        // The first four are relative: their addends are addresses.
        if entry < 4 {
            let value = get(&image, table + 16) + UP;
            image.put64(table + 16, value);
        }
    }
    image.put64(image.at.relr, PACKED[0] + UP);
    for (index, vaddr) in PACKED.into_iter().enumerate() {
        image.put64((vaddr - 0x2000) as usize, UP + 0x100 * (index as u64 + 1));
    }
    let mut memory = CheckedMemory::new();
    let loaded = committed(&image, &mut memory);
    let mut plain = CheckedMemory::new();
    committed(&TestImage::new(Machine::X86_64), &mut plain);
    assert_eq!(loaded.bias(), memory.base - UP);
    for word in 0..16 {
        assert_eq!(memory.word(RELRO + 8 * word), plain.word(RELRO + 8 * word), "{word}");
    }
    for vaddr in PACKED {
        assert_eq!(memory.word(vaddr), plain.word(vaddr));
    }
    let entry = planned(&image).exported_function(b"entry").unwrap();
    assert_eq!(loaded.address_of(&entry), memory.base + TEXT);
    assert!(loaded.contains(memory.base) && loaded.contains(memory.base + SPAN as u64 - 1));
    assert!(!loaded.contains(memory.base - 1) && !loaded.contains(memory.base + SPAN as u64));
}
