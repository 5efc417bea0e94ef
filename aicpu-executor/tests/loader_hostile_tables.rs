//! Breaks the dynamic section and the tables it locates, one word at a time.
//!
//! Classes are those of design loader §4.1. Offsets in the expectations are the ELF64 structure
//! offsets, written out.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::PlanError::{
    DuplicateTag, EntrySize, FunctionOutsideText, HashTable, IndirectFunction, MissingTag,
    NeededNotAllowed, NeededPath, NoHashTable, StringOutsideTable, StringTableUnterminated,
    SymbolOutsideImage, SymbolSection, TableMisaligned, TableOutsideSegment, TableSize,
    TextRelocations, ThreadLocal, TooManyFunctions, UnsupportedTag,
};
use aicpu_executor::loader::{
    ExportError, Machine, NeededPolicy, PlanError, PlanLimits, SymbolName, Tag, plan,
};
use support::hostile::{Row, check};
use support::image_builder as builder;
use support::image_builder::{
    DATA, DT_FINI_ARRAY, DT_FLAGS, DT_GNU_HASH, DT_HASH, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_JMPREL,
    DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELAENT, DT_RELASZ, DT_RELR, DT_RELRENT, DT_RELRSZ,
    DT_SONAME, DT_SPARE, DT_STRSZ, DT_STRTAB, DT_SYMENT, DT_SYMTAB, DT_TEXTREL, TEXT, TestImage,
};

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

/// Moves a table, which must then be outside the segments.
fn outside(image: &mut TestImage, tag: u64, vaddr: u64, bytes: u64) -> PlanError {
    image.set_dynamic(tag, vaddr);
    TableOutsideSegment { tag: Tag(tag), vaddr, bytes }
}

/// Adds an entry that must be refused as unsupported.
fn unsupported(image: &mut TestImage, tag: u64, value: u64) -> PlanError {
    image.replace_dynamic(DT_SPARE, tag, value);
    UnsupportedTag { tag: Tag(tag), value }
}

const DYNAMIC_ROWS: &[Row] = &[
    (12, "DT_TEXTREL", |image| {
        image.replace_dynamic(DT_SPARE, DT_TEXTREL, 0);
        TextRelocations { tag: Tag(DT_TEXTREL), value: 0 }
    }),
    (12, "DF_TEXTREL", |image| {
        image.set_dynamic(DT_FLAGS, 0xc);
        TextRelocations { tag: Tag(DT_FLAGS), value: 0xc }
    }),
    (14, "two string tables", |image| {
        image.replace_dynamic(DT_SPARE, DT_STRTAB, 0);
        DuplicateTag { tag: Tag(DT_STRTAB), entry: 25 }
    }),
    (15, "size of a relocation", |image| entry_size(image, DT_RELAENT, 23, 24)),
    (15, "size of a packed relocation", |image| entry_size(image, DT_RELRENT, 16, 8)),
    (15, "size of a symbol", |image| entry_size(image, DT_SYMENT, 16, 24)),
    (15, "no size of a relocation", |image| missing(image, DT_RELAENT)),
    (15, "no size of the relocations", |image| missing(image, DT_RELASZ)),
    (15, "size of relocations there are none of", |image| missing(image, DT_JMPREL)),
    (15, "no strings", |image| missing(image, DT_STRTAB)),
    (15, "no size of the strings", |image| missing(image, DT_STRSZ)),
    (15, "no symbols", |image| missing(image, DT_SYMTAB)),
    (15, "no size of a symbol", |image| missing(image, DT_SYMENT)),
    (15, "half a relocation", |image| {
        image.set_dynamic(DT_RELASZ, 7 * 24 - 1);
        TableSize { tag: Tag(DT_RELASZ), bytes: 7 * 24 - 1, entry: 24 }
    }),
    (15, "half a packed relocation", |image| {
        image.set_dynamic(DT_RELRSZ, 12);
        TableSize { tag: Tag(DT_RELRSZ), bytes: 12, entry: 8 }
    }),
    (15, "half a function pointer", |image| {
        image.set_dynamic(DT_INIT_ARRAYSZ, 12);
        TableSize { tag: Tag(DT_INIT_ARRAYSZ), bytes: 12, entry: 8 }
    }),
    (15, "relocations past the segment", |image| {
        image.set_dynamic(DT_RELASZ, 24 * 1000);
        let vaddr = image.at.rela as u64;
        TableOutsideSegment { tag: Tag(DT_RELA), vaddr, bytes: 24 * 1000 }
    }),
    (15, "size of the relocations wraps", |image| {
        let bytes = u64::MAX / 24 * 24;
        image.set_dynamic(DT_PLTRELSZ, bytes);
        TableOutsideSegment { tag: Tag(DT_JMPREL), vaddr: image.at.plt as u64, bytes }
    }),
    (15, "packed relocations in a hole", |image| outside(image, DT_RELR, 0x3000, 16)),
    (15, "relocations in .bss", |image| outside(image, DT_RELA, 0x5200, 7 * 24)),
    (15, "strings outside the image", |image| {
        let bytes = image.at.string_bytes as u64;
        outside(image, DT_STRTAB, u64::MAX, bytes)
    }),
    (15, "symbols outside the image", |image| outside(image, DT_SYMTAB, 0x1000, 7 * 24)),
    (15, "symbols past the segment", |image| {
        let vaddr = image.at.header_end as u64 - 7 * 24 + 8;
        outside(image, DT_SYMTAB, vaddr, 7 * 24)
    }),
    (15, "hash table outside the image", |image| outside(image, DT_GNU_HASH, 0x7000, 0)),
    (15, "relocations without addend", |image| unsupported(image, DT_REL, 0)),
    (15, "function slots without addend", |image| {
        image.set_dynamic(DT_PLTREL, DT_REL);
        UnsupportedTag { tag: Tag(DT_PLTREL), value: DT_REL }
    }),
    (15, "Android's packed relocations", |image| unsupported(image, 0x6000_0011, 8)),
    (15, "filter library", |image| unsupported(image, 0x7fff_ffff, 1)),
    (16, "strings without end", |image| {
        image.set_dynamic(DT_STRSZ, image.at.string_bytes as u64 - 1);
        let (vaddr, bytes) = (image.at.strings as u64, image.at.string_bytes as u64 - 1);
        StringTableUnterminated { vaddr, bytes }
    }),
    (16, "no strings at all", |image| {
        image.set_dynamic(DT_STRSZ, 0);
        StringTableUnterminated { vaddr: image.at.strings as u64, bytes: 0 }
    }),
    (16, "name of a needed library", |image| {
        let table_bytes = image.at.string_bytes;
        image.set_dynamic(1, table_bytes as u64);
        let string = table_bytes as u64;
        StringOutsideTable { what: "needed library", index: 0, string, table_bytes }
    }),
    (16, "name of the library itself", |image| {
        image.set_dynamic(DT_SONAME, u64::MAX);
        let table_bytes = image.at.string_bytes;
        StringOutsideTable { what: "this library", index: 0, string: u64::MAX, table_bytes }
    }),
    (22, "preinit array", |image| unsupported(image, builder::DT_PREINIT_ARRAY, 0x4000)),
    (22, "initialiser in the data", |image| {
        image.set_dynamic(builder::DT_INIT, DATA);
        FunctionOutsideText { tag: Tag(builder::DT_INIT), vaddr: DATA }
    }),
    (22, "finaliser directly behind the text", |image| {
        image.set_dynamic(builder::DT_FINI, TEXT + 0x100);
        FunctionOutsideText { tag: Tag(builder::DT_FINI), vaddr: TEXT + 0x100 }
    }),
    (22, "initialiser in the .bss of the text", |image| {
        image.put64(image.program(1) + 40, 0x200);
        image.set_dynamic(builder::DT_INIT, TEXT + 0x100);
        FunctionOutsideText { tag: Tag(builder::DT_INIT), vaddr: TEXT + 0x100 }
    }),
    (22, "init array misaligned", |image| {
        image.set_dynamic(DT_INIT_ARRAY, 0x4004);
        TableMisaligned { tag: Tag(DT_INIT_ARRAY), vaddr: 0x4004 }
    }),
    (22, "fini array outside the image", |image| outside(image, DT_FINI_ARRAY, 0x5100, 8)),
    (22, "init array with too many entries", |image| {
        image.set_dynamic(DT_INIT_ARRAYSZ, 129 * 8);
        TooManyFunctions { tag: Tag(DT_INIT_ARRAYSZ), count: 129, limit: 128 }
    }),
    (23, "static thread-local storage", |image| {
        image.set_dynamic(DT_FLAGS, 0x18);
        ThreadLocal { name: SymbolName::EMPTY }
    }),
    (25, "needed library with a path", |image| {
        image.put(image.at.strings + image.at.string_bytes - 21, b"lib/c.so.");
        NeededPath { name: SymbolName::new(b"lib/c.so.") }
    }),
    (25, "needed library nobody stands for", |image| {
        image.put(image.at.strings + image.at.string_bytes - 21, b"liba.so.6");
        NeededNotAllowed { name: SymbolName::new(b"liba.so.6") }
    }),
];

/// Changes a word of the GNU hash table that must be refused.
fn gnu(image: &mut TestImage, place: usize, value: u32) {
    image.put32(image.at.gnu_hash + place, value);
}

/// Changes a word of the System V hash table that must be refused.
fn sysv(image: &mut TestImage, place: usize, value: u32) {
    image.put32(image.at.sysv_hash + place, value);
}

/// The error of the GNU hash table.
fn bad_gnu(field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
    HashTable { tag: Tag(DT_GNU_HASH), field, index, value, limit }
}

/// The error of the System V hash table.
fn bad_sysv(field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
    HashTable { tag: Tag(DT_HASH), field, index, value, limit }
}

/// Bytes from a table of the first segment to its end.
fn rest(image: &TestImage, place: usize) -> u64 {
    (image.at.header_end - place) as u64
}

const SYMBOL_ROWS: &[Row] = &[
    (16, "name of a symbol", |image| {
        let (index, table_bytes) = (image.symbol("table").into(), image.at.string_bytes);
        image.put32(image.symbol_place("table"), table_bytes as u32);
        StringOutsideTable { what: "symbol", index, string: table_bytes as u64, table_bytes }
    }),
    (17, "symbol counts differ", |image| {
        sysv(image, 4, 6);
        // The last link would be out of bounds before the counts are compared.
        sysv(image, 12 + 4 * 5, 0);
        bad_sysv("symbol count", 0, 6, 7)
    }),
    (17, "no hash table", |image| {
        image.replace_dynamic(DT_GNU_HASH, 0x6000_0002, 0);
        image.replace_dynamic(DT_HASH, 0x6000_0002, 0);
        NoHashTable
    }),
    (18, "no bucket", |image| {
        gnu(image, 0, 0);
        bad_gnu("bucket count", 0, 0, 1)
    }),
    (18, "2^32 - 1 buckets", |image| {
        gnu(image, 0, u32::MAX);
        bad_gnu("bucket count", 0, u32::MAX.into(), rest(image, image.at.gnu_hash))
    }),
    (18, "no bloom filter", |image| {
        gnu(image, 8, 0);
        bad_gnu("bloom filter size", 0, 0, 1)
    }),
    (18, "bloom filter of three words", |image| {
        gnu(image, 8, 3);
        bad_gnu("bloom filter size", 0, 3, 1)
    }),
    (18, "bloom filter of 2^31 words", |image| {
        gnu(image, 8, 1 << 31);
        bad_gnu("bloom filter size", 0, 1 << 31, rest(image, image.at.gnu_hash))
    }),
    (18, "shift of 32", |image| {
        gnu(image, 12, 32);
        bad_gnu("bloom filter shift", 0, 32, 31)
    }),
    (18, "bucket below the first hashed symbol", |image| {
        gnu(image, 28, 2);
        bad_gnu("bucket", 1, 2, 3)
    }),
    (18, "bucket behind the table", |image| {
        gnu(image, 28, 0x1000_0000);
        let words = (rest(image, image.at.gnu_hash) - 32) / 4;
        bad_gnu("chain of symbol", 0x1000_0000, 0x1000_0000, words)
    }),
    (18, "chain without end", |image| {
        // A table at the end of the data: everything behind its buckets is even words.
        image.set_dynamic(DT_GNU_HASH, 0x4800);
        for (field, value) in [2, 3, 1, 6, 0, 0, 3, 0].into_iter().enumerate() {
            image.put32(0x2800 + 4 * field, value);
        }
        image.bytes[0x2820..0x3100].fill(2);
        bad_gnu("chain of symbol", 3, 3, (0x3100 - 0x2820) / 4)
    }),
    (18, "no bucket in the System V table", |image| {
        sysv(image, 0, 0);
        bad_sysv("bucket count", 0, 0, 1)
    }),
    (18, "2^32 - 1 symbols", |image| {
        sysv(image, 4, u32::MAX);
        bad_sysv("symbol count", 0, u32::MAX.into(), rest(image, image.at.sysv_hash))
    }),
    (18, "bucket past the symbols", |image| {
        sysv(image, 8, 7);
        bad_sysv("bucket", 0, 7, 7)
    }),
    (18, "link past the symbols", |image| {
        sysv(image, 12 + 4 * 4, 8);
        bad_sysv("chain", 4, 8, 7)
    }),
    (18, "chain that is a loop", |image| {
        sysv(image, 12 + 4 * 6, 3);
        // Seven links are as many as there are symbols; 3 4 5 6 3 4 5, and the next one is too many.
        bad_sysv("chain of bucket", 0, 6, 7)
    }),
    (18, "symbol that follows itself", |image| {
        sysv(image, 12 + 4 * 3, 3);
        bad_sysv("chain of bucket", 0, 3, 7)
    }),
    (21, "indirect function", |image| {
        let place = image.symbol_place("entry");
        image.bytes[place + 4] = 0x1a;
        let name = SymbolName::new(b"entry");
        IndirectFunction { symbol: image.symbol("entry"), name }
    }),
    (23, "thread-local variable", |image| {
        let place = image.symbol_place("table");
        image.bytes[place + 4] = 0x16;
        ThreadLocal { name: SymbolName::new(b"table") }
    }),
    (23, "thread-local import", |image| {
        let place = image.symbol_place("optional");
        image.bytes[place + 4] = 0x26;
        ThreadLocal { name: SymbolName::new(b"optional") }
    }),
    (27, "symbol behind the image", |image| {
        image.put64(image.symbol_place("unique") + 8, 0x6001);
        SymbolOutsideImage { symbol: image.symbol("unique"), value: 0x6001 }
    }),
    (27, "symbol at a negative address", |image| {
        image.put64(image.symbol_place("entry") + 8, u64::MAX);
        SymbolOutsideImage { symbol: image.symbol("entry"), value: u64::MAX }
    }),
    (27, "common symbol", |image| {
        image.put16(image.symbol_place("table") + 6, 0xfff2);
        SymbolSection { symbol: image.symbol("table"), section: 0xfff2 }
    }),
];

#[test]
fn refuses_each_broken_dynamic_entry_by_name() {
    check(DYNAMIC_ROWS, &[12, 14, 15, 16, 22, 23, 25]);
}

#[test]
fn refuses_each_broken_symbol_or_hash_table_by_name() {
    check(SYMBOL_ROWS, &[16, 17, 18, 21, 23, 27]);
}

#[test]
fn exports_that_are_no_functions_of_the_image_are_not_handed_out() {
    type Case = (&'static str, fn(&mut TestImage, usize), ExportError);
    let cases: [Case; 6] = [
        (
            "a number",
            |image, place| image.put16(place + 6, 0xfff1),
            ExportError::Absolute { value: TEXT },
        ),
        ("data", |image, place| image.bytes[place + 4] = 0x11, ExportError::NotFunction(1)),
        (
            "outside the text",
            |image, place| image.put64(place + 8, DATA),
            ExportError::OutsideText { vaddr: DATA, size: 16 },
        ),
        (
            "past the text",
            |image, place| image.put64(place + 16, 0x101),
            ExportError::OutsideText { vaddr: TEXT, size: 0x101 },
        ),
        (
            "without size, directly behind the text",
            |image, place| {
                image.put64(place + 8, TEXT + 0x100);
                image.put64(place + 16, 0);
            },
            ExportError::OutsideText { vaddr: TEXT + 0x100, size: 0 },
        ),
        ("hidden", |image, place| image.bytes[place + 5] = 2, ExportError::Missing),
    ];
    for (name, change, expected) in cases {
        let mut image = TestImage::new(Machine::X86_64);
        let place = image.symbol_place("entry");
        change(&mut image, place);
        let plan = plan(&image.bytes, image.machine, &PlanLimits::default()).unwrap();
        assert_eq!(plan.exported_function(b"entry"), Err(expected), "{name}");
    }
}

#[test]
fn a_policy_decides_which_libraries_may_be_needed() {
    let image = TestImage::new(Machine::X86_64);
    let plan_with = |needed| {
        let limits = PlanLimits { needed, ..PlanLimits::default() };
        plan(&image.bytes, image.machine, &limits).map(|_| ())
    };
    assert_eq!(plan_with(NeededPolicy::Allow(&["libc.so.6"])), Ok(()));
    assert_eq!(plan_with(NeededPolicy::AnyBareName), Ok(()));
    let refused = Err(NeededNotAllowed { name: SymbolName::new(b"libc.so.6") });
    assert_eq!(plan_with(NeededPolicy::Allow(&["libc.so", "libc.so.60"])), refused);
}
