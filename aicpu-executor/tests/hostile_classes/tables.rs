//! Class 15: addresses, sizes and entry sizes of the tables that the dynamic section locates.

use aicpu_executor::loader::PlanError::{
    EntrySize, MissingTag, StringTableUnterminated, TableOutsideSegment, TableSize, UnsupportedTag,
};
use aicpu_executor::loader::{PlanError, Tag};

use crate::class::Case::{Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{
    DT_FINI_ARRAY, DT_FINI_ARRAYSZ, DT_GNU_HASH, DT_HASH, DT_INIT_ARRAY, DT_INIT_ARRAYSZ,
    DT_JMPREL, DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELAENT, DT_RELASZ, DT_RELR, DT_RELRENT,
    DT_RELRSZ, DT_SPARE, DT_STRSZ, DT_STRTAB, DT_SYMENT, DT_SYMTAB, TestImage,
};

/// A tag for the number of relative relocations, which sorts them first and is only a hint.
const DT_RELACOUNT: u64 = 0x6fff_fff9;

/// Gives an entry of the dynamic section a value that must be refused as an entry size.
fn entry_size(image: &mut TestImage, tag: u64, value: u64, expected: u64) -> PlanError {
    image.set_dynamic(tag, value);
    EntrySize { tag: Tag(tag), value, expected }
}

/// Removes an entry, which must then be missed.
fn missing(image: &mut TestImage, tag: u64) -> PlanError {
    image.replace_dynamic(tag, 0x6000_0002, 0);
    MissingTag { tag: Tag(tag) }
}

/// Gives a table a size that is no multiple of its entries.
fn part(image: &mut TestImage, tag: u64, bytes: u64, entry: u64) -> PlanError {
    image.set_dynamic(tag, bytes);
    TableSize { tag: Tag(tag), bytes, entry }
}

/// Gives a table so many bytes that it leaves its segment.
fn too_large(image: &mut TestImage, (address, size): (u64, u64), bytes: u64) -> PlanError {
    let vaddr = image.get64(image.dynamic(address) + 8);
    image.set_dynamic(size, bytes);
    TableOutsideSegment { tag: Tag(address), vaddr, bytes }
}

/// The tables with their bytes in an error; those of hash tables are not known by then.
fn tables(image: &TestImage) -> [(u64, u64); 9] {
    [
        (DT_STRTAB, image.at.string_bytes as u64),
        (DT_SYMTAB, 7 * 24),
        (DT_HASH, 0),
        (DT_GNU_HASH, 0),
        (DT_RELA, 7 * 24),
        (DT_JMPREL, 24),
        (DT_RELR, 16),
        (DT_INIT_ARRAY, 16),
        (DT_FINI_ARRAY, 8),
    ]
}

pub(crate) const SIZES: HostileClass = HostileClass {
    number: 15,
    title: "sizes of tables that are missing, contradict each other, or leave the segments",
    cases: &[
        Refused("size of a relocation", |image| entry_size(image, DT_RELAENT, 23, 24)),
        Refused("no size of a relocation at all", |image| entry_size(image, DT_RELAENT, 0, 24)),
        Refused("size of a packed relocation", |image| entry_size(image, DT_RELRENT, 16, 8)),
        Refused("size of a 32-bit symbol", |image| entry_size(image, DT_SYMENT, 16, 24)),
        Refused("largest size of a symbol", |image| entry_size(image, DT_SYMENT, u64::MAX, 24)),
        Refused("without size of a relocation", |image| missing(image, DT_RELAENT)),
        Refused("without size of a packed relocation", |image| missing(image, DT_RELRENT)),
        Refused("without size of the relocations", |image| missing(image, DT_RELASZ)),
        Refused("without size of the packed relocations", |image| missing(image, DT_RELRSZ)),
        Refused("without size of the function slots", |image| missing(image, DT_PLTRELSZ)),
        Refused("without kind of the function slots", |image| missing(image, DT_PLTREL)),
        Refused("without size of the initialisers", |image| missing(image, DT_INIT_ARRAYSZ)),
        Refused("without size of the finalisers", |image| missing(image, DT_FINI_ARRAYSZ)),
        Refused("size of relocations there are none of", |image| missing(image, DT_RELA)),
        Refused("size of function slots there are none of", |image| missing(image, DT_JMPREL)),
        Refused("without strings", |image| missing(image, DT_STRTAB)),
        Refused("without size of the strings", |image| missing(image, DT_STRSZ)),
        Refused("without symbols", |image| missing(image, DT_SYMTAB)),
        Refused("without size of a symbol", |image| missing(image, DT_SYMENT)),
        Refused("part of a relocation", |image| part(image, DT_RELASZ, 7 * 24 - 1, 24)),
        Refused("part of a function slot", |image| part(image, DT_PLTRELSZ, 8, 24)),
        Refused("part of a packed relocation", |image| part(image, DT_RELRSZ, 12, 8)),
        Refused("part of an initialiser", |image| part(image, DT_INIT_ARRAYSZ, 12, 8)),
        Refused("part of a finaliser", |image| part(image, DT_FINI_ARRAYSZ, 1, 8)),
        Refused("relocations past the segment", |image| {
            too_large(image, (DT_RELA, DT_RELASZ), 24 * 1000)
        }),
        Refused("relocations that wrap", |image| {
            too_large(image, (DT_RELA, DT_RELASZ), u64::MAX / 24 * 24)
        }),
        Refused("function slots that wrap", |image| {
            too_large(image, (DT_JMPREL, DT_PLTRELSZ), u64::MAX / 24 * 24)
        }),
        Refused("packed relocations that wrap", |image| {
            too_large(image, (DT_RELR, DT_RELRSZ), u64::MAX - 7)
        }),
        Refused("strings that wrap", |image| too_large(image, (DT_STRTAB, DT_STRSZ), u64::MAX)),
        Series("every table, everywhere outside the file-backed segments", |machine| {
            let image = TestImage::new(machine);
            let header_end = image.at.header_end as u64;
            for (tag, bytes) in tables(&image) {
                for vaddr in [
                    // A hole, .bss, behind the image, the end of the address space.
                    0x1000,
                    0x3000,
                    0x5101,
                    0x57f0,
                    0x6000,
                    1 << 32,
                    1 << 63,
                    u64::MAX - 7,
                    u64::MAX,
                    0u64.wrapping_sub(bytes.max(1)),
                ] {
                    outside(&image, tag, vaddr, bytes);
                }
                if bytes > 0 {
                    // One byte in front of a segment, and one behind its file-backed part.
                    for vaddr in [0x3fff, header_end - bytes + 1, 0x5100 - bytes + 1] {
                        outside(&image, tag, vaddr, bytes);
                    }
                }
            }
        }),
        Refused("function slots without addend", |image| {
            image.set_dynamic(DT_PLTREL, DT_REL);
            UnsupportedTag { tag: Tag(DT_PLTREL), value: DT_REL }
        }),
        Refused("no strings at all", |image| {
            image.set_dynamic(DT_STRSZ, 0);
            StringTableUnterminated { vaddr: image.at.strings as u64, bytes: 0 }
        }),
        Harmless(
            "number of relative relocations, far too large",
            |image| image.replace_dynamic(DT_SPARE, DT_RELACOUNT, u64::MAX),
            |loaded| assert_eq!(loaded.plan.relocations(), 11),
        ),
        Harmless(
            "an empty table that is nowhere",
            |image| {
                image.set_dynamic(DT_RELA, u64::MAX);
                image.set_dynamic(DT_RELASZ, 0);
                // Their targets were the arrays, which are now not code.
                image.set_dynamic(DT_INIT_ARRAYSZ, 0);
                image.set_dynamic(DT_FINI_ARRAYSZ, 0);
            },
            |loaded| assert_eq!(loaded.plan.relocations(), 4),
        ),
        Harmless(
            "a size without a table, if it is 0",
            |image| {
                image.set_dynamic(DT_RELRSZ, 0);
                image.replace_dynamic(DT_RELR, 0x6000_0002, 0);
            },
            |loaded| assert_eq!(loaded.plan.relocations(), 8),
        ),
    ],
};

/// Moves a table to where it is outside the segments.
fn outside(image: &TestImage, tag: u64, vaddr: u64, bytes: u64) {
    let mut image = image.clone();
    image.set_dynamic(tag, vaddr);
    let found = planned(&image).map(|_| ());
    let expected = match tag {
        // Function arrays have to be aligned as well.
        DT_INIT_ARRAY | DT_FINI_ARRAY if !vaddr.is_multiple_of(8) => {
            PlanError::TableMisaligned { tag: Tag(tag), vaddr }
        }
        _ => TableOutsideSegment { tag: Tag(tag), vaddr, bytes },
    };
    assert_eq!(found, Err(expected), "tag {tag:#x} at {vaddr:#x}");
}
