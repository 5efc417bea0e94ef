//! Class 14: the dynamic section itself.

use aicpu_executor::loader::PlanError::{
    DuplicateHeader, DuplicateTag, DynamicMisplaced, DynamicOutsideSegment, DynamicUnterminated,
    MissingHeader, UnsupportedTag,
};
use aicpu_executor::loader::{PlanError, Tag};

use crate::class::Case::{Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{
    DT_FINI, DT_FINI_ARRAY, DT_FINI_ARRAYSZ, DT_FLAGS, DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_INIT,
    DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_JMPREL, DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELAENT,
    DT_RELASZ, DT_RELR, DT_RELRENT, DT_RELRSZ, DT_SONAME, DT_SPARE, DT_STRSZ, DT_STRTAB, DT_SYMENT,
    DT_SYMTAB, TestImage,
};

/// Offsets of the fields of a program header.
const OFFSET: usize = 8;
const VADDR: usize = 16;
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;

/// Bytes of the image's dynamic section.
const BYTES: u64 = 27 * 16;

/// Tags that the loader reads and that may occur once; the gABI lets only `DT_NEEDED` repeat.
const SINGLE: [u64; 24] = [
    DT_PLTRELSZ,
    DT_HASH,
    DT_STRTAB,
    DT_SYMTAB,
    DT_RELA,
    DT_RELASZ,
    DT_RELAENT,
    DT_STRSZ,
    DT_SYMENT,
    DT_INIT,
    DT_FINI,
    DT_SONAME,
    DT_PLTREL,
    DT_JMPREL,
    DT_INIT_ARRAY,
    DT_FINI_ARRAY,
    DT_INIT_ARRAYSZ,
    DT_FINI_ARRAYSZ,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_RELR,
    DT_RELRSZ,
    DT_RELRENT,
    DT_GNU_HASH,
];

/// Moves the dynamic section to where it is not in the file-backed part of one segment.
fn moved(image: &mut TestImage, vaddr: u64) -> PlanError {
    image.set_program(3, VADDR, vaddr);
    DynamicOutsideSegment { vaddr, bytes: BYTES }
}

/// Gives the section another size, in the file and in memory.
fn resized(image: &mut TestImage, bytes: u64) {
    image.set_program(3, FILE_SIZE, bytes);
    image.set_program(3, MEMORY_SIZE, bytes);
}

pub(crate) const SECTION: HostileClass = HostileClass {
    number: 14,
    title: "no dynamic section, two, one without end, or one outside the segments",
    cases: &[
        Refused("none", |image| {
            image.set_program(3, 0, 0);
            MissingHeader { kind: "PT_DYNAMIC" }
        }),
        Refused("two", |image| {
            image.set_program(6, 0, 2);
            DuplicateHeader { kind: "PT_DYNAMIC", header: 6 }
        }),
        Refused("in a hole", |image| moved(image, 0x3000)),
        Refused("in .bss", |image| moved(image, 0x5100 - BYTES + 8)),
        Refused("behind the image", |image| moved(image, 0x6000)),
        Refused("from a hole into the data", |image| moved(image, 0x4000 - 16)),
        Refused("at the end of the address space", |image| moved(image, u64::MAX - 15)),
        Refused("end wraps", |image| moved(image, 0u64.wrapping_sub(BYTES))),
        Refused("at two places", |image| {
            image.set_program(3, OFFSET, 0x2110);
            DynamicMisplaced { offset: 0x2110, expected: 0x2100 }
        }),
        Refused("without end", |image| {
            resized(image, BYTES - 16);
            DynamicUnterminated { entries: 26 }
        }),
        Refused("ends inside its last entry", |image| {
            resized(image, BYTES - 1);
            DynamicUnterminated { entries: 26 }
        }),
        Refused("without entries", |image| {
            resized(image, 0);
            DynamicUnterminated { entries: 0 }
        }),
        Refused("more than 1,024 entries", |image| {
            longer(image, 1024 - 26);
            DynamicUnterminated { entries: 1024 }
        }),
        Series("1,024 entries, the end included", |machine| {
            let mut image = TestImage::new(machine);
            longer(&mut image, 1024 - 27);
            assert!(planned(&image).is_ok());
        }),
        Series("every tag twice that may occur once", |machine| {
            for tag in SINGLE {
                let mut image = TestImage::new(machine);
                let place = image.dynamic(tag);
                let value = image.get64(place + 8);
                image.replace_dynamic(DT_SPARE, tag, value);
                let expected = Err(DuplicateTag { tag: Tag(tag), entry: 25 });
                assert_eq!(planned(&image).map(|_| ()), expected, "tag {tag:#x}");
            }
        }),
        Refused("relocations without addend", |image| {
            image.replace_dynamic(DT_SPARE, DT_REL, 0);
            UnsupportedTag { tag: Tag(DT_REL), value: 0 }
        }),
        Refused("Android's packed relocations", |image| {
            image.replace_dynamic(DT_SPARE, 0x6000_0011, 8);
            UnsupportedTag { tag: Tag(0x6000_0011), value: 8 }
        }),
        // Entries behind the end mean nothing, whatever they say.
        Harmless(
            "a second string table behind the end",
            |image| {
                resized(image, BYTES + 16);
                image.put64(0x2100 + BYTES as usize, DT_STRTAB);
                image.put64(0x2108 + BYTES as usize, u64::MAX);
            },
            |loaded| assert!(loaded.plan.exported_function(b"entry").is_ok()),
        ),
        Harmless(
            "tags nobody knows",
            |image| image.replace_dynamic(DT_SPARE, u64::MAX, u64::MAX),
            |_| (),
        ),
    ],
};

/// Moves the dynamic section behind everything else, with more entries that mean nothing.
fn longer(image: &mut TestImage, spares: usize) {
    let mut entries = image.bytes[0x2100..0x2100 + 26 * 16].to_vec();
    for _ in 0..spares {
        entries.extend([DT_SPARE.to_le_bytes(), [0; 8]].concat());
    }
    entries.extend([0; 16]);
    let (offset, vaddr) = image.append(&entries);
    image.set_program(3, OFFSET, offset);
    image.set_program(3, VADDR, vaddr);
    resized(image, entries.len() as u64);
}
