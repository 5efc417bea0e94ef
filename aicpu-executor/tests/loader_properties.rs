//! Properties noted in hand-made images: checked branch targets of AArch64 code.
//!
//! Class 29 of design loader §4.1. Numbers are those of the ABI documents, written out.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::PlanError::{DuplicateHeader, Note, OutsideFile};
use aicpu_executor::loader::{Machine, PlanError, PlanLimits, Protection, commit, plan};
use support::Names;
use support::checked_memory::CheckedMemory;
use support::image_builder::{PT_NOTE, TestImage};

const PT_GNU_PROPERTY: u32 = 0x6474_e553;
/// The property that lists features which all code has, and its bits.
const FEATURES: u32 = 0xc000_0000;
const BTI: u32 = 1;
const PAC: u32 = 2;
/// A property of the stack's size, with eight bytes.
const STACK_SIZE: u32 = 1;

/// Index of a program header that may become another one: the stack's.
const SPARE_HEADER: usize = 6;
/// Index of another one: RELRO's.
const OTHER_HEADER: usize = 7;

/// A property with its padding.
fn property(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn features(bits: u32) -> Vec<u8> {
    property(FEATURES, &bits.to_le_bytes())
}

/// A note of properties.
fn note(properties: &[Vec<u8>]) -> Vec<u8> {
    let body = properties.concat();
    let mut bytes = Vec::new();
    for word in [4, body.len() as u32, 5] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"GNU\0");
    bytes.extend(body);
    bytes
}

/// Puts `notes` behind the first segment's parts, and a header for them in place of another.
fn add(image: &mut TestImage, header: usize, kind: u32, align: u64, notes: &[u8]) {
    let place = image.at.header_end;
    image.put(place, notes);
    image.at.header_end = (place + notes.len()).next_multiple_of(8);
    for field in [32, 40] {
        image.set_program(0, field, image.at.header_end as u64);
    }
    image.set_program(header, 0, kind.into());
    image.set_program(header, 4, 4);
    for (field, value) in [(8, place), (16, place), (32, notes.len()), (40, notes.len())] {
        image.set_program(header, field, value as u64);
    }
    image.set_program(header, 48, align);
}

fn with_notes(machine: Machine, notes: &[u8]) -> TestImage {
    let mut image = TestImage::new(machine);
    add(&mut image, SPARE_HEADER, PT_GNU_PROPERTY, 8, notes);
    image
}

/// The rights of all segments.
fn rights(image: &TestImage) -> Result<Vec<Protection>, PlanError> {
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default())?;
    Ok(plan.segments().iter().map(|segment| segment.protection).collect())
}

/// What [`rights`] returns for an image with or without guarded branches.
fn expected(guarded: bool) -> Result<Vec<Protection>, PlanError> {
    let mut code = Protection::READ | Protection::EXECUTE;
    code.set(Protection::BRANCH_TARGETS, guarded);
    Ok(vec![Protection::READ, code, Protection::READ | Protection::WRITE])
}

#[test]
fn code_that_marks_its_branch_targets_is_guarded_on_aarch64() {
    for (bits, guarded) in [(0, false), (BTI, true), (PAC, false), (BTI | PAC, true)] {
        let notes = note(&[features(bits)]);
        assert_eq!(rights(&with_notes(Machine::Aarch64, &notes)), expected(guarded), "{bits}");
        assert_eq!(rights(&with_notes(Machine::X86_64, &notes)), expected(false), "{bits}");
    }
    assert_eq!(rights(&TestImage::new(Machine::Aarch64)), expected(false));
}

#[test]
fn the_guard_reaches_the_memory_for_code_pages_only() {
    let image = with_notes(Machine::Aarch64, &note(&[features(BTI)]));
    let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
    let pages = plan.pages();
    let guarded: Vec<_> = pages
        .runs()
        .iter()
        .filter(|run| run.protection.contains(Protection::BRANCH_TARGETS))
        .map(|run| (run.offset, run.bytes, run.protection))
        .collect();
    assert_eq!(guarded, [(0x2000, 0x1000, Protection::all() - Protection::WRITE)]);
    let mut memory = CheckedMemory::new();
    assert!(commit(&plan, &mut memory, &Names(&[("imported", 0x1000)])).is_ok());
    assert_eq!(memory.violations, [""; 0]);
}

#[test]
fn other_properties_and_notes_are_stepped_over() {
    let stack = property(STACK_SIZE, &[0; 8]);
    let behind = property(FEATURES + 1, &[1; 13]);
    let check = |notes: &[u8], guarded: bool| {
        assert_eq!(rights(&with_notes(Machine::Aarch64, notes)), expected(guarded));
    };
    check(&note(&[stack.clone(), features(BTI), behind]), true);
    check(&note(&[stack]), false);
    check(&note(&[]), false);
    check(&[], false);
    // A note of the same type by somebody else.
    let mut other = note(&[features(BTI)]);
    other[12] = b'X';
    check(&other, false);
    check(&[other, note(&[features(BTI)])].concat(), true);
}

#[test]
fn all_notes_of_properties_must_agree() {
    let check = |notes: [Vec<u8>; 2], guarded: bool| {
        assert_eq!(rights(&with_notes(Machine::Aarch64, &notes.concat())), expected(guarded));
    };
    check([note(&[features(BTI)]), note(&[features(BTI | PAC)])], true);
    check([note(&[features(BTI)]), note(&[features(PAC)])], false);
    check([note(&[]), note(&[features(BTI)])], false);
}

#[test]
fn aligned_notes_stand_in_where_there_is_no_segment_of_properties() {
    let notes = note(&[features(BTI)]);
    for (align, guarded) in [(8, true), (4, false)] {
        let mut image = TestImage::new(Machine::Aarch64);
        add(&mut image, SPARE_HEADER, PT_NOTE, align, &notes);
        assert_eq!(rights(&image), expected(guarded), "{align}");
    }
    let mut image = TestImage::new(Machine::Aarch64);
    add(&mut image, SPARE_HEADER, PT_NOTE, 8, &notes);
    add(&mut image, OTHER_HEADER, PT_GNU_PROPERTY, 8, &note(&[features(PAC)]));
    assert_eq!(rights(&image), expected(false));
}

/// What is wrong, the notes, and the error for notes at the position given.
type Row = (&'static str, fn() -> Vec<u8>, fn(u64) -> PlanError);

const ROWS: &[Row] = &[
    (
        "half a property",
        || note(&[vec![0; 4]]),
        |at| Note { offset: at + 16, field: "property header size", value: 4 },
    ),
    (
        "data behind the note",
        || note(&[property(FEATURES, &[0; 4])[..8].to_vec()]),
        |at| Note { offset: at + 16, field: "property size", value: 4 },
    ),
    (
        "endless data",
        || note(&[property(STACK_SIZE, &[0; 8]), [[0xff; 8], [0; 8]].concat()]),
        |at| Note { offset: at + 32, field: "property size", value: 0xffff_ffff },
    ),
    (
        "no padding",
        || note(&[features(BTI)[..12].to_vec()]),
        |at| Note { offset: at + 16, field: "property size", value: 4 },
    ),
    (
        "features of three bytes",
        || note(&[property(FEATURES, &[1; 3])]),
        |at| Note { offset: at + 16, field: "property size", value: 3 },
    ),
    (
        "features of eight bytes",
        || note(&[property(FEATURES, &[1; 8])]),
        |at| Note { offset: at + 16, field: "property size", value: 8 },
    ),
    (
        "no features",
        || note(&[property(FEATURES, &[])]),
        |at| Note { offset: at + 16, field: "property size", value: 0 },
    ),
    (
        "features twice",
        || note(&[features(BTI), features(BTI)]),
        |at| Note { offset: at + 32, field: "property type", value: FEATURES.into() },
    ),
    (
        "properties out of order",
        || note(&[features(BTI), property(STACK_SIZE, &[0; 8])]),
        |at| Note { offset: at + 32, field: "property type", value: STACK_SIZE.into() },
    ),
    (
        "65 properties",
        || note(&(1..=65).map(|kind| property(kind, &[])).collect::<Vec<_>>()),
        |at| Note { offset: at + 16 + 64 * 8, field: "number of properties", value: 65 },
    ),
    (
        "65 notes",
        || note(&[]).repeat(65),
        |at| Note { offset: at + 64 * 16, field: "number", value: 65 },
    ),
    (
        "body behind the segment",
        || note(&[features(BTI)])[..31].to_vec(),
        |at| Note { offset: at, field: "n_descsz", value: 16 },
    ),
];

#[test]
fn refuses_each_broken_property_by_name() {
    for (name, notes, error) in ROWS {
        let mut image = TestImage::new(Machine::Aarch64);
        let error = error(image.at.header_end as u64);
        add(&mut image, SPARE_HEADER, PT_GNU_PROPERTY, 8, &notes());
        assert_eq!(rights(&image), Err(error), "{name}");
        // Nothing depends on them there.
        image = TestImage::new(Machine::X86_64);
        add(&mut image, SPARE_HEADER, PT_GNU_PROPERTY, 8, &notes());
        assert_eq!(rights(&image), expected(false), "{name}");
    }
}

#[test]
fn limits_are_reached_and_not_passed() {
    let properties: Vec<_> = (1..=64).map(|kind| property(kind, &[])).collect();
    for notes in [note(&properties), note(&[]).repeat(64)] {
        assert_eq!(rights(&with_notes(Machine::Aarch64, &notes)), expected(false));
    }
}

#[test]
fn the_segment_of_properties_is_one_and_inside_the_file() {
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let notes = note(&[features(BTI)]);
        let mut image = with_notes(machine, &notes);
        add(&mut image, OTHER_HEADER, PT_GNU_PROPERTY, 8, &notes);
        let twice = DuplicateHeader { kind: "PT_GNU_PROPERTY", header: 7 };
        assert_eq!(rights(&image), Err(twice));

        for (offset, bytes) in [(0x30ff, 2), (u64::MAX - 7, 16), (0, u64::MAX)] {
            let mut image = with_notes(machine, &notes);
            image.set_program(SPARE_HEADER, 8, offset);
            image.set_program(SPARE_HEADER, 32, bytes);
            image.set_program(SPARE_HEADER, 40, bytes);
            let outside =
                OutsideFile { what: "PT_GNU_PROPERTY", offset, bytes, file_bytes: 0x3100 };
            assert_eq!(rights(&image), Err(outside));
        }
    }
}
