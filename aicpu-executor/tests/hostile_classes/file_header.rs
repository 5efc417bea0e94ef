//! Classes 1 to 5: the file as a whole, its header, and the table of program headers.
//!
//! Offsets in the expectations are those of the ELF64 file header, written out.

use aicpu_executor::loader::PlanError::{
    NotElf, NotSharedObject, OutsideFile, ProgramHeaderCount, UnsupportedField, WrongMachine,
};
use aicpu_executor::loader::{Machine, PlanError};

use crate::class::Case::{Elsewhere, Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{BUILD_ID, FILE_BYTES, TestImage};

/// Changes a field of the file header that has one supported value.
fn field(
    image: &mut TestImage,
    (field, offset, bytes): (&'static str, usize, usize),
    value: u64,
    expected: u64,
) -> PlanError {
    image.put(offset, &value.to_le_bytes()[..bytes]);
    UnsupportedField { field, offset: offset as u64, value, expected }
}

pub(crate) const CUT: HostileClass = HostileClass {
    number: 1,
    title: "shorter than its headers, or truncated anywhere",
    cases: &[
        Refused("no bytes at all", |image| {
            image.bytes.clear();
            OutsideFile { what: "file header", offset: 0, bytes: 64, file_bytes: 0 }
        }),
        Refused("one byte too few for the file header", |image| {
            image.bytes.truncate(63);
            OutsideFile { what: "file header", offset: 0, bytes: 64, file_bytes: 63 }
        }),
        Refused("one byte too few for the program headers", |image| {
            image.bytes.truncate(64 + 8 * 56 - 1);
            let file_bytes = 64 + 8 * 56 - 1;
            OutsideFile { what: "program header table", offset: 64, bytes: 8 * 56, file_bytes }
        }),
        Refused("one byte too few for the last segment", |image| {
            image.bytes.pop();
            let file_bytes = FILE_BYTES - 1;
            OutsideFile { what: "loadable segment", offset: 0x2000, bytes: 0x1100, file_bytes }
        }),
        Series("every length below that of the file", |machine| {
            let whole = TestImage::new(machine);
            for length in 0..FILE_BYTES {
                let cut = TestImage { bytes: whole.bytes[..length].to_vec(), ..whole };
                match planned(&cut).map(|_| ()) {
                    Err(OutsideFile { file_bytes, .. }) => assert_eq!(file_bytes, length),
                    other => panic!("{length}: {other:?}"),
                }
            }
        }),
    ],
};

pub(crate) const FORMAT: HostileClass = HostileClass {
    number: 2,
    title: "wrong magic, class, byte order, version or operating system",
    cases: &[
        Refused("magic", |image| {
            image.bytes[3] = b'f';
            NotElf { magic: *b"\x7fELf" }
        }),
        Refused("a text shorter than a file header", |image| {
            image.bytes = b"#!/bin/sh\n".to_vec();
            NotElf { magic: *b"#!/b" }
        }),
        Refused("32-bit class", |image| field(image, ("EI_CLASS", 4, 1), 1, 2)),
        Refused("big endian", |image| field(image, ("EI_DATA", 5, 1), 2, 1)),
        Refused("identification version", |image| field(image, ("EI_VERSION", 6, 1), 0, 1)),
        Refused("operating system", |image| field(image, ("EI_OSABI", 7, 1), 9, 0)),
        Refused("version of the operating system's ABI", |image| {
            field(image, ("EI_ABIVERSION", 8, 1), 1, 0)
        }),
        Refused("version", |image| field(image, ("e_version", 20, 4), 2, 1)),
        Series("every other value of every byte", |machine| {
            let valid = TestImage::new(machine);
            for (place, accepted) in [
                (0, &[0x7f][..]),
                (1, b"E"),
                (2, b"L"),
                (3, b"F"),
                (4, &[2]),
                (5, &[1]),
                (6, &[1]),
                // System V, and GNU: ld writes it when a symbol is unique.
                (7, &[0, 3]),
                (8, &[0]),
                (20, &[1]),
                (23, &[0]),
            ] {
                for value in 0..=u8::MAX {
                    let mut image = valid.clone();
                    image.bytes[place] = value;
                    let is_accepted = planned(&image).is_ok();
                    assert_eq!(is_accepted, accepted.contains(&value), "byte {place}: {value}");
                }
            }
        }),
        // The padding of the identification means nothing (gABI, "ELF Identification").
        Harmless("padding", |image| image.put(9, &[0xff; 7]), |_| ()),
    ],
};

pub(crate) const MACHINE: HostileClass = HostileClass {
    number: 3,
    title: "built for another machine",
    cases: &[
        Refused("no machine", |image| {
            image.put16(18, 0);
            WrongMachine { value: 0, expected: image.machine }
        }),
        Refused("32-bit machine", |image| {
            image.put16(18, 3);
            WrongMachine { value: 3, expected: image.machine }
        }),
        Refused("the other machine", |image| {
            let value = match image.machine {
                Machine::X86_64 => 183,
                Machine::Aarch64 => 62,
            };
            image.put16(18, value);
            WrongMachine { value, expected: image.machine }
        }),
    ],
};

/// Changes the type of the file.
fn kind(image: &mut TestImage, kind: u16) -> PlanError {
    image.put16(16, kind);
    NotSharedObject { kind, flags_1: 0 }
}

pub(crate) const KIND: HostileClass = HostileClass {
    number: 4,
    title: "not a shared object",
    cases: &[
        Refused("no type", |image| kind(image, 0)),
        Refused("relocatable object", |image| kind(image, 1)),
        Refused("executable", |image| kind(image, 2)),
        Refused("core file", |image| kind(image, 4)),
        Refused("type of a processor", |image| kind(image, 0xff03)),
        Refused("position-independent executable", |image| {
            image.set_dynamic(0x6fff_fffb, 0x0800_0001);
            NotSharedObject { kind: 3, flags_1: 0x0800_0001 }
        }),
    ],
};

/// Changes the number of program headers to one that is refused.
fn count(image: &mut TestImage, count: u16) -> PlanError {
    image.put16(56, count);
    ProgramHeaderCount { count, limit: 64 }
}

/// Moves the program headers to where they do not lie in the file.
fn moved(image: &mut TestImage, offset: u64) -> PlanError {
    image.put64(32, offset);
    let (bytes, file_bytes) = (8 * 56, FILE_BYTES);
    OutsideFile { what: "program header table", offset, bytes, file_bytes }
}

pub(crate) const PROGRAM_HEADERS: HostileClass = HostileClass {
    number: 5,
    title: "size, number or place of the program headers",
    cases: &[
        Refused("size of the file header", |image| field(image, ("e_ehsize", 52, 2), 52, 64)),
        Refused("no size of a program header", |image| field(image, ("e_phentsize", 54, 2), 0, 56)),
        Refused("size of a 32-bit program header", |image| {
            field(image, ("e_phentsize", 54, 2), 32, 56)
        }),
        Refused("size of a program header", |image| field(image, ("e_phentsize", 54, 2), 57, 56)),
        Refused("no program headers", |image| count(image, 0)),
        Refused("one program header too many", |image| count(image, 65)),
        Refused("PN_XNUM", |image| count(image, 0xffff)),
        Refused("the most there may be, behind the file", |image| {
            image.put16(56, 64);
            image.put64(32, FILE_BYTES as u64 - 64 * 56 + 8);
            let (offset, bytes) = (FILE_BYTES as u64 - 64 * 56 + 8, 64 * 56);
            OutsideFile { what: "program header table", offset, bytes, file_bytes: FILE_BYTES }
        }),
        Refused("one word behind the file", |image| moved(image, FILE_BYTES as u64 - 8 * 56 + 8)),
        Refused("at the end of the file", |image| moved(image, FILE_BYTES as u64)),
        Refused("position wraps", |image| moved(image, u64::MAX - 7)),
        Refused("end wraps to the start of the file", |image| {
            moved(image, 0u64.wrapping_sub(8 * 56))
        }),
        Refused("position in the upper half", |image| moved(image, 1 << 63)),
        Refused("misaligned", |image| {
            image.put64(32, 65);
            UnsupportedField { field: "e_phoff modulo 8", offset: 32, value: 1, expected: 0 }
        }),
        Refused("the file header itself", |image| {
            // Its first eight records read as program headers; two of them have no known type, and
            // the next is the table itself, shifted by eight bytes.
            image.put64(32, 0);
            PlanError::MissingHeader { kind: "PT_LOAD" }
        }),
        Harmless(
            "section headers that are nowhere",
            |image| {
                image.put64(40, u64::MAX - 3);
                // Size and number of section headers, index of their names.
                image.put(58, &[0xff; 6]);
            },
            |loaded| assert_eq!(loaded.plan.build_id(), Some(&BUILD_ID[..])),
        ),
        Harmless(
            "section headers that are other things",
            |image| {
                image.put64(40, 0x100);
                image.put16(58, 64);
                image.put16(60, 50);
                image.put16(62, 49);
            },
            |loaded| assert_eq!(loaded.plan.build_id(), Some(&BUILD_ID[..])),
        ),
        Elsewhere(
            "tests/loader_hostile_sections.rs",
            "a_table_that_is_not_well_formed_counts_as_absent",
        ),
    ],
};
