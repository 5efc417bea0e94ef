//! Classes 16 and 25: strings, and the libraries that are named by them.

use aicpu_executor::loader::PlanError::{
    NeededNotAllowed, NeededPath, StringOutsideTable, StringTableUnterminated, UnsupportedTag,
};
use aicpu_executor::loader::{NeededPolicy, PlanError, PlanLimits, SymbolName, Tag, plan};

use crate::class::Case::{Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{
    DT_NEEDED, DT_SONAME, DT_SPARE, DT_STRSZ, DT_STRTAB, TestImage,
};

/// Lets a symbol begin at a place behind the string table.
fn symbol_name(image: &mut TestImage, symbol: &str, string: u32) -> PlanError {
    let (index, table_bytes) = (image.symbol(symbol).into(), image.at.string_bytes);
    image.put32(image.symbol_place(symbol), string);
    StringOutsideTable { what: "symbol", index, string: string.into(), table_bytes }
}

/// Lets the name of a library begin behind the string table.
fn library_name(image: &mut TestImage, tag: u64, string: u64) -> PlanError {
    image.set_dynamic(tag, string);
    let what = if tag == DT_NEEDED { "needed library" } else { "this library" };
    StringOutsideTable { what, index: 0, string, table_bytes: image.at.string_bytes }
}

pub(crate) const STRINGS: HostileClass = HostileClass {
    number: 16,
    title: "a string table without end, and strings outside it",
    cases: &[
        Refused("table without end", |image| {
            image.set_dynamic(DT_STRSZ, image.at.string_bytes as u64 - 1);
            let (vaddr, bytes) = (image.at.strings as u64, image.at.string_bytes as u64 - 1);
            StringTableUnterminated { vaddr, bytes }
        }),
        Refused("empty table", |image| {
            image.set_dynamic(DT_STRSZ, 0);
            StringTableUnterminated { vaddr: image.at.strings as u64, bytes: 0 }
        }),
        Refused("table that ends in text", |image| {
            image.set_dynamic(DT_STRTAB, 0x2000);
            image.set_dynamic(DT_STRSZ, 6);
            // mov eax, imm32; ret: the sixth byte is ret. AArch64: the sixth is part of its ret.
            StringTableUnterminated { vaddr: 0x2000, bytes: 6 }
        }),
        Refused("symbol at the end of the table", |image| {
            let end = image.at.string_bytes as u32;
            symbol_name(image, "table", end)
        }),
        Refused("import at the end of the table", |image| {
            let end = image.at.string_bytes as u32;
            symbol_name(image, "imported", end)
        }),
        Refused("symbol far behind the table", |image| symbol_name(image, "entry", u32::MAX)),
        Refused("needed library at the end of the table", |image| {
            let end = image.at.string_bytes as u64;
            library_name(image, DT_NEEDED, end)
        }),
        Refused("needed library far behind the table", |image| {
            library_name(image, DT_NEEDED, u64::MAX)
        }),
        Refused("needed library whose place is cut to 32 bits", |image| {
            library_name(image, DT_NEEDED, 1 << 32)
        }),
        Refused("name of the library itself", |image| library_name(image, DT_SONAME, u64::MAX)),
        Harmless(
            "a name at the last byte of the table",
            |image| {
                let last = image.at.string_bytes as u64 - 1;
                image.set_dynamic(DT_SONAME, last);
            },
            |loaded| assert_eq!(loaded.plan.soname(), Some(&b""[..])),
        ),
        Harmless(
            "a null symbol with a name that is nowhere",
            |image| image.put32(image.at.symbols, u32::MAX),
            |loaded| assert!(loaded.plan.export(b"entry").is_some()),
        ),
    ],
};

/// Overwrites the name of the needed library, which has nine bytes.
fn library(image: &mut TestImage, name: &'static [u8; 9]) -> SymbolName {
    image.put(image.at.strings + image.at.string_bytes - 21, name);
    SymbolName::new(name)
}

/// Adds an entry that would bring in code from elsewhere.
fn unsupported(image: &mut TestImage, tag: u64) -> PlanError {
    image.replace_dynamic(DT_SPARE, tag, 1);
    UnsupportedTag { tag: Tag(tag), value: 1 }
}

pub(crate) const NEEDED: HostileClass = HostileClass {
    number: 25,
    title: "needed libraries with a path, or that nobody stands for",
    cases: &[
        Refused("path", |image| NeededPath { name: library(image, b"lib/c.so.") }),
        Refused("absolute path", |image| NeededPath { name: library(image, b"/libc.so6") }),
        Refused("path that ends with a slash", |image| NeededPath {
            name: library(image, b"libc.so6/"),
        }),
        Refused("library nobody stands for", |image| NeededNotAllowed {
            name: library(image, b"liba.so.6"),
        }),
        Refused("another case", |image| NeededNotAllowed { name: library(image, b"libC.so.6") }),
        Refused("no name", |image| {
            image.set_dynamic(DT_NEEDED, 0);
            NeededNotAllowed { name: SymbolName::EMPTY }
        }),
        Refused("the end of an allowed name", |image| {
            let inside = image.at.string_bytes as u64 - 21 + 3;
            image.set_dynamic(DT_NEEDED, inside);
            NeededNotAllowed { name: SymbolName::new(b"c.so.6") }
        }),
        Refused("a second library", |image| {
            image.replace_dynamic(DT_SPARE, DT_NEEDED, 1);
            NeededNotAllowed { name: SymbolName::new(b"imported") }
        }),
        Refused("filter library", |image| unsupported(image, 0x7fff_ffff)),
        Refused("auxiliary library", |image| unsupported(image, 0x7fff_fffd)),
        Series("a policy decides which libraries may be needed", |machine| {
            let image = TestImage::new(machine);
            let plan_with = |needed| {
                let limits = PlanLimits { needed, ..PlanLimits::default() };
                plan(&image.bytes, machine, &limits).map(|_| ())
            };
            assert_eq!(plan_with(NeededPolicy::Allow(&["libc.so.6"])), Ok(()));
            assert_eq!(plan_with(NeededPolicy::AnyBareName), Ok(()));
            let refused = Err(NeededNotAllowed { name: SymbolName::new(b"libc.so.6") });
            assert_eq!(plan_with(NeededPolicy::Allow(&["libc.so", "libc.so.60"])), refused);
            assert_eq!(plan_with(NeededPolicy::Allow(&[])), refused);
        }),
        Series("no policy lets a path through", |machine| {
            let mut image = TestImage::new(machine);
            let name = library(&mut image, b"./lib.so6");
            let limits = PlanLimits { needed: NeededPolicy::AnyBareName, ..PlanLimits::default() };
            let found = plan(&image.bytes, machine, &limits).map(|_| ());
            assert_eq!(found, Err(NeededPath { name }));
            assert!(planned(&image).is_err());
        }),
        // Nothing is ever searched, so that the folders to search mean nothing.
        Harmless("folders to search", |image| image.replace_dynamic(DT_SPARE, 29, 1), |_| ()),
    ],
};
