//! Section headers that lie: they must cost the names, never more.
//!
//! No load depends on them, so an image stays loadable whatever they say. What is broken once makes
//! `.symtab` count as absent; what is broken at random must not panic nor name bytes outside code.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{BuildId, Machine, Plan, PlanError, PlanLimits, SymbolName, plan};
use support::compiler::shared_object;
use support::image_builder::{TEXT, TestImage};
use support::mutator::Random;
use support::plan_native;
use support::section_table::{self, SectionPlaces, SymbolRow};

/// A function that only `.symtab` knows, behind those that are exported.
const HIDDEN: SymbolRow = ("hidden", 0x02, 2, TEXT + 0x40, 0x10);

/// What is broken, how, and whether `.symtab` still counts.
type Row = (&'static str, fn(&mut TestImage, SectionPlaces), bool);

const ROWS: &[Row] = &[
    ("nothing", |_, _| {}, true),
    ("e_shoff past the end", |image, _| image.put64(40, 1 << 40), false),
    ("e_shoff wraps", |image, _| image.put64(40, u64::MAX - 8), false),
    ("e_shoff is zero", |image, _| image.put64(40, 0), false),
    ("e_shentsize is another", |image, _| image.put16(58, 56), false),
    ("e_shnum is zero", |image, _| image.put16(60, 0), false),
    ("e_shnum is one too many", |image, _| image.put16(60, 4), false),
    ("e_shstrndx is not looked at", |image, _| image.put16(62, 0xffff), true),
    ("no symbol table", |image, at| image.put32(at.header(1) + 4, 1), false),
    (
        "a second symbol table",
        |image, at| image.put(at.header(0), &copy(image, at.header(1))),
        false,
    ),
    ("sh_entsize is another", |image, at| image.put64(at.header(1) + 56, 16), false),
    ("sh_size is no multiple", |image, at| image.put64(at.header(1) + 32, 47), false),
    ("sh_size past the end", |image, at| image.put64(at.header(1) + 32, 24 << 32), false),
    ("sh_offset past the end", |image, at| image.put64(at.header(1) + 24, u64::MAX), false),
    ("compressed symbols", |image, at| image.put64(at.header(1) + 8, 0x800), false),
    ("sh_link past the end", |image, at| image.put32(at.header(1) + 40, 3), false),
    ("sh_link names no strings", |image, at| image.put32(at.header(1) + 40, 1), false),
    ("strings of another type", |image, at| image.put32(at.header(2) + 4, 1), false),
    ("strings past the end", |image, at| image.put64(at.header(2) + 24, 1 << 33), false),
    ("no strings", |image, at| image.put64(at.header(2) + 32, 0), false),
    ("strings without NUL", |image, at| image.put64(at.header(2) + 32, 4), false),
    ("a name past the end", |image, at| image.put32(at.symbols + 24, 1 << 20), false),
    ("an address past the end", |image, at| image.put64(at.symbols + 32, 1 << 50), false),
    ("a size past the end", |image, at| image.put64(at.symbols + 40, u64::MAX), true),
];

/// Returns the bytes of the section header at a place.
fn copy(image: &TestImage, place: usize) -> Vec<u8> {
    image.bytes[place..place + 64].to_vec()
}

#[test]
fn a_table_that_is_not_well_formed_counts_as_absent() {
    for machine in [Machine::X86_64, Machine::Aarch64] {
        for (what, break_it, counts) in ROWS {
            let mut image = TestImage::new(machine);
            let places = section_table::append(&mut image.bytes, &[HIDDEN]);
            break_it(&mut image, places);
            let plan = plan(&image.bytes, machine, &PlanLimits::default())
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let name = plan.symbolise(TEXT + 0x48).map(|found| found.function.name);
            assert_eq!(name, counts.then_some(&b"hidden"[..]), "{what}, {machine}");
            // The exports are there either way.
            let export = plan.symbolise(TEXT + 1).map(|found| found.function.name);
            assert_eq!(export, Some(&b"entry"[..]), "{what}, {machine}");
        }
    }
}

#[test]
fn names_of_thread_local_variables_come_from_well_formed_tables_only() {
    for (what, break_it, counts) in &ROWS[..21] {
        let mut image = TestImage::new(Machine::X86_64);
        // A PT_TLS in the place of PT_GNU_STACK.
        image.set_program(6, 0, 7);
        let rows = [("__tls_guard", 0x06, 3, 8, 1), ("variable", 0x06, 3, 0, 8)];
        let places = section_table::append(&mut image.bytes, &rows);
        break_it(&mut image, places);
        let name = if *counts { SymbolName::new(b"variable") } else { SymbolName::EMPTY };
        let found = plan(&image.bytes, Machine::X86_64, &PlanLimits::default()).map(|_| ());
        assert_eq!(found, Err(PlanError::ThreadLocal { name }), "{what}");
    }
}

/// Asks everything that depends on the section headers.
fn interrogate(plan: &Plan<'_>) -> usize {
    let code: Vec<_> = plan
        .functions()
        .inspect(|each| {
            assert!(!each.name.is_empty() && !each.name.contains(&0));
            let is_code = |segment: &aicpu_executor::loader::Segment| {
                let end = segment.vaddr + segment.file_bytes;
                let start = segment.vaddr;
                segment.protection.contains(aicpu_executor::loader::Protection::EXECUTE)
                    && start <= each.vaddr
                    && each.vaddr < end
                    && each.size <= end - each.vaddr
            };
            assert!(plan.segments().iter().any(is_code), "{each:x?}");
        })
        .collect();
    for each in code.iter().take(50) {
        let found = plan.symbolise(each.vaddr).expect("a function starts here");
        assert_eq!(found.function.vaddr + found.offset, each.vaddr);
    }
    code.len()
}

#[test]
fn no_mutant_of_the_section_headers_panics_or_names_what_is_no_code() {
    let source = "static long plain(long v) { return v * 3; } long hidden(long v) { return plain(v); } \
                  extern \"C\" long work(long v) { return hidden(v) + plain(v + 1); }";
    let original = shared_object(source, &["-O0"]);
    let word = |place: usize| u64::from_le_bytes(original[place..place + 8].try_into().unwrap());
    let headers = word(40) as usize;
    // Linkers put what is not loaded behind everything that is.
    let loaded =
        plan_native(&original).segments().iter().map(|each| each.offset + each.file_bytes).max();
    let behind = loaded.unwrap() as usize;
    let (mut whole, mut fewer) = (0, 0);
    let all = interrogate(&plan_native(&original));
    for seed in 1..4_000 {
        let mut random = Random(seed);
        let mut image = original.clone();
        for _ in 0..1 + random.below(3) {
            let place = match random.below(4) {
                0 => 40 + random.below(24),
                1 => behind + random.below(headers - behind),
                _ => headers + random.below(original.len() - headers),
            };
            image[place] = match random.below(3) {
                0 => random.next() as u8,
                1 => image[place] ^ 1 << random.below(8),
                _ => [0, 0x7f, 0xff][random.below(3)],
            };
        }
        if random.below(8) == 0 {
            image.truncate(behind + random.below(original.len() - behind));
        }
        // A changed e_phentsize is refused as ever.
        let Ok(plan) = plan(&image, Machine::native(), &PlanLimits::default()) else { continue };
        match interrogate(&plan) == all {
            true => whole += 1,
            false => fewer += 1,
        }
    }
    assert!(whole > 200 && fewer > 200, "{whole} {fewer}");
}

#[test]
fn the_build_id_of_any_file_is_read_or_absent() {
    let id = |bytes: &[u8]| BuildId::of_file(bytes).map(|id| id.as_bytes().to_vec());
    let whole = TestImage::new(Machine::Aarch64);
    let expected = Some(support::image_builder::BUILD_ID.to_vec());
    // Files that cannot be loaded have an id as well: an executable, another machine, a note that
    // follows and is broken.
    let changes: [fn(&mut TestImage); 4] = [
        |_| {},
        |image| image.put16(16, 2),
        |image| image.put16(18, 8),
        |image| image.set_program(5, 0, 4),
    ];
    for change in changes {
        let mut image = whole.clone();
        change(&mut image);
        assert_eq!(id(&image.bytes), expected);
    }
    let breaks: [fn(&mut TestImage); 6] = [
        |image| image.put(0, b"\x7fELG"),
        |image| image.bytes[4] = 1,
        |image| image.put16(54, 57),
        |image| image.put64(32, u64::MAX - 100),
        |image| image.set_program(4, 8, u64::MAX - 8),
        |image| image.set_program(4, 32, 20),
    ];
    for (index, change) in breaks.into_iter().enumerate() {
        let mut image = whole.clone();
        change(&mut image);
        assert_eq!(id(&image.bytes), None, "{index}");
    }
    for length in 0..1000 {
        let found = id(&whole.bytes[..length]);
        assert!(found.is_none() || found == expected, "{length}");
    }
}
