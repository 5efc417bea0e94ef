//! Classes 22 and 27: what may be called — initialisers, finalisers, and exported functions.

use aicpu_executor::loader::PlanError::{
    FunctionOutsideText, SymbolOutsideImage, SymbolSection, TableMisaligned, TableOutsideSegment,
    TooManyFunctions, UnsupportedTag,
};
use aicpu_executor::loader::{ExportError, LoadError, PlanError, Tag};

use crate::class::Case::{Harmless, NotCallable, NotLoaded, Refused};
use crate::class::HostileClass;
use crate::support::checked_memory::BASE;
use crate::support::image_builder::{
    DATA, DT_FINI, DT_FINI_ARRAY, DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_PREINIT_ARRAY,
    DT_SPARE, INIT_ARRAY, TEXT, TestImage,
};

/// End of the text's file bytes.
const TEXT_END: u64 = TEXT + 0x100;

/// Gives a single function an address that is refused.
fn function(image: &mut TestImage, tag: u64, vaddr: u64) -> PlanError {
    image.set_dynamic(tag, vaddr);
    FunctionOutsideText { tag: Tag(tag), vaddr }
}

/// Moves the target of the relocation of an array's entry; 0 and 1 are initialisers, 2 a finaliser.
fn entry(image: &mut TestImage, number: usize, addend: u64) -> LoadError {
    image.put64(image.at.rela + 24 * number + 16, addend);
    let (tag, index) = [(DT_INIT_ARRAY, 0), (DT_INIT_ARRAY, 1), (DT_FINI_ARRAY, 0)][number];
    LoadError::FunctionOutsideText { tag: Tag(tag), index, address: BASE.wrapping_add(addend) }
}

pub(crate) const ARRAYS: HostileClass = HostileClass {
    number: 22,
    title: "initialisers and finalisers outside the text, in arrays that are none",
    cases: &[
        Refused("preinit array", |image| {
            image.replace_dynamic(DT_SPARE, DT_PREINIT_ARRAY, 0x4000);
            UnsupportedTag { tag: Tag(DT_PREINIT_ARRAY), value: 0x4000 }
        }),
        Refused("initialiser in the data", |image| function(image, DT_INIT, DATA)),
        Refused("initialiser in front of the text", |image| function(image, DT_INIT, TEXT - 1)),
        Refused("initialiser at 0", |image| function(image, DT_INIT, 0)),
        Refused("initialiser outside the image", |image| function(image, DT_INIT, u64::MAX)),
        Refused("finaliser directly behind the text", |image| function(image, DT_FINI, TEXT_END)),
        Refused("finaliser in a hole", |image| function(image, DT_FINI, 0x3000)),
        Refused("initialiser in the .bss of the text", |image| {
            image.set_program(1, 40, 0x200);
            function(image, DT_INIT, TEXT_END)
        }),
        Refused("array misaligned", |image| {
            image.set_dynamic(DT_INIT_ARRAY, 0x4004);
            TableMisaligned { tag: Tag(DT_INIT_ARRAY), vaddr: 0x4004 }
        }),
        Refused("array outside the image", |image| {
            image.set_dynamic(DT_FINI_ARRAY, 0x5100);
            TableOutsideSegment { tag: Tag(DT_FINI_ARRAY), vaddr: 0x5100, bytes: 8 }
        }),
        Refused("array with too many entries", |image| {
            image.set_dynamic(DT_INIT_ARRAYSZ, 129 * 8);
            TooManyFunctions { tag: Tag(DT_INIT_ARRAYSZ), count: 129, limit: 128 }
        }),
        Refused("array of the whole address space", |image| {
            image.set_dynamic(DT_INIT_ARRAYSZ, u64::MAX - 7);
            let count = u64::MAX / 8;
            TooManyFunctions { tag: Tag(DT_INIT_ARRAYSZ), count, limit: 128 }
        }),
        NotLoaded("first initialiser in the data", |image| entry(image, 0, DATA)),
        NotLoaded("second initialiser in front of the text", |image| entry(image, 1, TEXT - 1)),
        NotLoaded("finaliser behind the text", |image| entry(image, 2, TEXT_END)),
        NotLoaded("initialiser in the headers", |image| entry(image, 0, 0x40)),
        NotLoaded("initialiser outside the image", |image| entry(image, 1, 0x10_0000)),
        NotLoaded("initialiser in front of the image", |image| entry(image, 0, u64::MAX - 7)),
        NotLoaded("finaliser in the middle of nowhere", |image| entry(image, 2, 1 << 63)),
        NotLoaded("entry that is not relocated", |image| {
            image.put_rela(image.at.rela, (0, 0, 0, 0));
            image.put64(0x2000, TEXT);
            let tag = Tag(DT_INIT_ARRAY);
            LoadError::FunctionOutsideText { tag, index: 0, address: TEXT }
        }),
        NotLoaded("entry of -1, as old start files had", |image| {
            image.put_rela(image.at.rela, (0, 0, 0, 0));
            image.put64(0x2000, u64::MAX);
            let tag = Tag(DT_INIT_ARRAY);
            LoadError::FunctionOutsideText { tag, index: 0, address: u64::MAX }
        }),
        NotLoaded("entry that is an import", |image| {
            image.put_rela(image.at.rela, (INIT_ARRAY, 1, image.numbers.absolute, 0));
            let (tag, address) = (Tag(DT_INIT_ARRAY), crate::class::IMPORTED);
            LoadError::FunctionOutsideText { tag, index: 0, address }
        }),
        NotLoaded("entry that a later relocation overwrites", |image| {
            image.put_rela(image.at.plt, (INIT_ARRAY + 8, 0, image.numbers.relative, DATA as i64));
            let (tag, address) = (Tag(DT_INIT_ARRAY), BASE + DATA);
            LoadError::FunctionOutsideText { tag, index: 1, address }
        }),
        Harmless(
            "the last byte of the text",
            |image| image.set_dynamic(DT_FINI, TEXT_END - 1),
            |loaded| assert_eq!(loaded.image.fini_functions().last(), Some(BASE + TEXT_END - 1)),
        ),
    ],
};

/// Changes the value and the size of the symbol `entry`.
fn moved(image: &mut TestImage, vaddr: u64, size: u64) -> ExportError {
    let place = image.symbol_place("entry");
    image.put64(place + 8, vaddr);
    image.put64(place + 16, size);
    ExportError::OutsideText { vaddr, size }
}

/// Changes the type of the symbol `entry`, which stays global.
fn typed(image: &mut TestImage, kind: u8) -> ExportError {
    let place = image.symbol_place("entry");
    image.bytes[place + 4] = 0x10 | kind;
    ExportError::NotFunction(kind)
}

/// Hides the symbol `entry` by changing one byte of it.
fn hidden(image: &mut TestImage, at: usize, value: u8) -> ExportError {
    let place = image.symbol_place("entry");
    image.bytes[place + at] = value;
    ExportError::Missing
}

pub(crate) const EXPORTS: HostileClass = HostileClass {
    number: 27,
    title: "symbols outside the image, and entries that are no functions of it",
    cases: &[
        Refused("behind the image", |image| {
            image.put64(image.symbol_place("unique") + 8, 0x6001);
            SymbolOutsideImage { symbol: image.symbol("unique"), value: 0x6001 }
        }),
        Refused("at a negative address", |image| {
            image.put64(image.symbol_place("entry") + 8, u64::MAX);
            SymbolOutsideImage { symbol: image.symbol("entry"), value: u64::MAX }
        }),
        Refused("in the upper half", |image| {
            image.put64(image.symbol_place("table") + 8, 1 << 63);
            SymbolOutsideImage { symbol: image.symbol("table"), value: 1 << 63 }
        }),
        Refused("common", |image| {
            image.put16(image.symbol_place("table") + 6, 0xfff2);
            SymbolSection { symbol: image.symbol("table"), section: 0xfff2 }
        }),
        Refused("in a section whose number is elsewhere", |image| {
            image.put16(image.symbol_place("table") + 6, 0xffff);
            SymbolSection { symbol: image.symbol("table"), section: 0xffff }
        }),
        Refused("in a section of a processor", |image| {
            image.put16(image.symbol_place("table") + 6, 0xff00);
            SymbolSection { symbol: image.symbol("table"), section: 0xff00 }
        }),
        NotCallable("a number", |image| {
            image.put16(image.symbol_place("entry") + 6, 0xfff1);
            ExportError::Absolute { value: TEXT }
        }),
        NotCallable("data", |image| typed(image, 1)),
        NotCallable("of no type", |image| typed(image, 0)),
        NotCallable("a section", |image| typed(image, 3)),
        NotCallable("a file", |image| typed(image, 4)),
        NotCallable("of a type of a processor", |image| typed(image, 13)),
        NotCallable("in the data", |image| moved(image, DATA, 16)),
        NotCallable("in front of the text", |image| moved(image, TEXT - 1, 16)),
        NotCallable("past the text", |image| moved(image, TEXT, 0x101)),
        NotCallable("with a size that wraps", |image| moved(image, TEXT, u64::MAX)),
        NotCallable("without size, directly behind the text", |image| moved(image, TEXT_END, 0)),
        NotCallable("hidden", |image| hidden(image, 5, 2)),
        NotCallable("internal", |image| hidden(image, 5, 1)),
        NotCallable("local", |image| hidden(image, 4, 0x02)),
        NotCallable("undefined", |image| {
            let place = image.symbol_place("entry");
            image.put16(place + 6, 0);
            // Weak, so that nobody has to offer it.
            image.bytes[place + 4] = 0x22;
            ExportError::Missing
        }),
        NotCallable("under another name", |image| {
            let place = image.symbol_place("entry");
            image.put32(place, image.get32(place) + 1);
            ExportError::Missing
        }),
        Harmless(
            "a size unknown",
            |image| {
                moved(image, TEXT, 0);
            },
            |loaded| {
                assert_eq!(loaded.plan.exported_function(b"entry").map(|each| each.vaddr), Ok(TEXT))
            },
        ),
    ],
};
