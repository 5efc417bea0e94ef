//! Classes 6 and 7: the sizes and file ranges of every kind of program header that is used.

use aicpu_executor::loader::PlanError;
use aicpu_executor::loader::PlanError::{FileBytesExceedMemory, OutsideFile, UnwindTable};

use crate::class::Case::{Elsewhere, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{FILE_BYTES, PT_GNU_PROPERTY, PT_TLS, TestImage};

/// Offsets of the fields of a program header.
const OFFSET: usize = 8;
const VADDR: usize = 16;
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;

/// Gives header `index`, of 64 bytes in memory at most, one byte more in the file.
fn one_too_many(image: &mut TestImage, header: u16) -> PlanError {
    image.set_program(header.into(), FILE_SIZE, 12);
    image.set_program(header.into(), MEMORY_SIZE, 11);
    FileBytesExceedMemory { header, file_bytes: 12, memory_bytes: 11 }
}

pub(crate) const SIZES: HostileClass = HostileClass {
    number: 6,
    title: "more bytes in the file than in memory",
    cases: &[
        Refused("segment", |image| {
            image.set_program(1, MEMORY_SIZE, 0xff);
            FileBytesExceedMemory { header: 1, file_bytes: 0x100, memory_bytes: 0xff }
        }),
        Refused("segment without memory", |image| {
            image.set_program(1, MEMORY_SIZE, 0);
            FileBytesExceedMemory { header: 1, file_bytes: 0x100, memory_bytes: 0 }
        }),
        Refused("segment of the whole address space in the file", |image| {
            image.set_program(1, FILE_SIZE, u64::MAX);
            FileBytesExceedMemory { header: 1, file_bytes: u64::MAX, memory_bytes: 0x100 }
        }),
        Refused("dynamic section", |image| one_too_many(image, 3)),
        Refused("notes", |image| one_too_many(image, 4)),
        Refused("unwind table", |image| one_too_many(image, 5)),
        Refused("stack", |image| one_too_many(image, 6)),
        Refused("RELRO", |image| one_too_many(image, 7)),
        Refused("thread-local segment", |image| {
            image.set_program(6, 0, PT_TLS.into());
            one_too_many(image, 6)
        }),
        Refused("properties", |image| {
            image.set_program(6, 0, PT_GNU_PROPERTY.into());
            one_too_many(image, 6)
        }),
    ],
};

/// The headers of the image with the names of their types in errors.
const KINDS: [(usize, &str); 10] = [
    (0, "loadable segment"),
    (1, "loadable segment"),
    (2, "loadable segment"),
    (3, "PT_DYNAMIC"),
    (4, "PT_NOTE"),
    (5, "PT_GNU_EH_FRAME"),
    (6, "PT_GNU_STACK"),
    (6, "PT_TLS"),
    (6, "PT_GNU_PROPERTY"),
    (7, "PT_GNU_RELRO"),
];

/// Refuses header after header with the same range of the file.
fn everywhere(image: &TestImage, offset: u64, bytes: u64) {
    for (index, what) in KINDS {
        // A segment without bytes is not used.
        if bytes == 0 && what == "loadable segment" {
            continue;
        }
        let mut image = image.clone();
        match what {
            "PT_TLS" => image.set_program(index, 0, PT_TLS.into()),
            "PT_GNU_PROPERTY" => image.set_program(index, 0, PT_GNU_PROPERTY.into()),
            _ => {}
        }
        image.set_program(index, OFFSET, offset);
        image.set_program(index, FILE_SIZE, bytes);
        image.set_program(index, MEMORY_SIZE, bytes);
        let expected = OutsideFile { what, offset, bytes, file_bytes: FILE_BYTES };
        assert_eq!(planned(&image).map(|_| ()), Err(expected), "header {index}");
    }
}

pub(crate) const RANGES: HostileClass = HostileClass {
    number: 7,
    title: "file range of any program header past the end of the file, or wrapping",
    cases: &[
        Series("every kind of header, everywhere outside", |machine| {
            let image = TestImage::new(machine);
            let end = FILE_BYTES as u64;
            for (offset, bytes) in [
                (end, 1),
                (end - 11, 12),
                (end + 1, 0),
                (0, end + 1),
                (1, end),
                (0x1000, u64::MAX),
                (u64::MAX, 1),
                (u64::MAX, 0),
                (u64::MAX - 0xfff, 0x1000),
                // Ends inside the file, after wrapping around.
                (u64::MAX - 0xfff, 0x2000),
                (1 << 63, 1 << 63),
                (1 << 32, 12),
            ] {
                everywhere(&image, offset, bytes);
            }
        }),
        Refused("notes that end inside the file after wrapping", |image| {
            image.set_program(4, OFFSET, 0u64.wrapping_sub(1 << 40));
            image.set_program(4, FILE_SIZE, (1 << 40) + 64);
            image.set_program(4, MEMORY_SIZE, (1 << 40) + 64);
            let (offset, bytes) = (0u64.wrapping_sub(1 << 40), (1 << 40) + 64);
            OutsideFile { what: "PT_NOTE", offset, bytes, file_bytes: FILE_BYTES }
        }),
        Refused("unwind table outside the segments", |image| {
            image.set_program(5, VADDR, 0x1000);
            UnwindTable { vaddr: 0x1000, field: "size", value: 12 }
        }),
        Refused("unwind table too short for its version", |image| {
            image.set_program(5, FILE_SIZE, 3);
            image.set_program(5, MEMORY_SIZE, 3);
            UnwindTable { vaddr: image.at.eh_frame_hdr as u64, field: "size", value: 3 }
        }),
        Refused("unwind table too short for its pointer", |image| {
            image.set_program(5, FILE_SIZE, 7);
            image.set_program(5, MEMORY_SIZE, 7);
            let vaddr = image.at.eh_frame_hdr as u64;
            UnwindTable { vaddr, field: "pointer encoding", value: 0x1b }
        }),
        Refused("pointer of the unwind table into a hole", |image| {
            image.put32(image.at.eh_frame_hdr + 4, 0x1000);
            let vaddr = image.at.eh_frame_hdr as u64;
            UnwindTable { vaddr, field: "pointer to .eh_frame", value: vaddr + 4 + 0x1000 }
        }),
        Refused("pointer of the unwind table in front of the image", |image| {
            let vaddr = image.at.eh_frame_hdr as u64;
            image.put32(image.at.eh_frame_hdr + 4, (-(vaddr as i32) - 5) as u32);
            UnwindTable { vaddr, field: "pointer to .eh_frame", value: u64::MAX }
        }),
        Refused("encoding of the unwind table", |image| {
            image.bytes[image.at.eh_frame_hdr + 1] = 0x9b;
            let vaddr = image.at.eh_frame_hdr as u64;
            UnwindTable { vaddr, field: "pointer encoding", value: 0x9b }
        }),
        Refused("version of the unwind table", |image| {
            image.bytes[image.at.eh_frame_hdr] = 2;
            UnwindTable { vaddr: image.at.eh_frame_hdr as u64, field: "version", value: 2 }
        }),
        Elsewhere(
            "tests/loader_unwind_records.rs",
            "every_record_has_to_be_readable_and_every_function_code_of_the_image",
        ),
        Elsewhere("tests/loader_mutants_unwind.rs", "registered_tables_of_mutants_can_be_searched"),
    ],
};
