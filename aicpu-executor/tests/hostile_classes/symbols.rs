//! Classes 17 and 26: symbols that do not exist, and symbols nobody offers.

use aicpu_executor::loader::PlanError::{HashTable, NoHashTable, SymbolIndex, TableOutsideSegment};
use aicpu_executor::loader::{LoadError, Machine, PlanError, Tag, commit};

use crate::class::Case::{Elsewhere, Harmless, Refused, Series};
use crate::class::{HostileClass, IMPORTED, planned};
use crate::support::Names;
use crate::support::checked_memory::CheckedMemory;
use crate::support::image_builder::{
    DT_GNU_HASH, DT_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, TestImage, WORDS,
};

/// Lets a relocation (of a table, by the place of its first entry) name a symbol.
fn names(image: &mut TestImage, place: usize, symbol: u32) -> PlanError {
    image.put_rela(place, (WORDS + 32, symbol, image.numbers.absolute, 0));
    SymbolIndex { offset: place as u64, symbol, count: 7 }
}

/// Leaves one hash table out.
fn without(image: &mut TestImage, tag: u64) {
    image.replace_dynamic(tag, 0x6000_0002, 0);
}

pub(crate) const INDICES: HostileClass = HostileClass {
    number: 17,
    title: "symbol indices out of bounds, and tables that do not say how many symbols there are",
    cases: &[
        Refused("directly behind the table", |image| names(image, image.at.rela, 7)),
        Refused("last possible symbol", |image| names(image, image.at.rela, u32::MAX)),
        Refused("of a function slot, behind the table", |image| names(image, image.at.plt, 7)),
        Refused("of a function slot, last possible", |image| names(image, image.at.plt, u32::MAX)),
        Refused("index whose place wraps", |image| {
            // 24 times this is 8 modulo 2^32.
            names(image, image.at.plt, 0x1555_5555 * 2)
        }),
        Refused("counted by the GNU table alone", |image| {
            without(image, DT_HASH);
            names(image, image.at.plt, 7)
        }),
        Refused("counted by the System V table alone", |image| {
            without(image, DT_GNU_HASH);
            names(image, image.at.plt, 7)
        }),
        Refused("counts that differ", |image| {
            image.put32(image.at.sysv_hash + 4, 6);
            // The last link would be out of bounds before the counts are compared.
            image.put32(image.at.sysv_hash + 12 + 4 * 5, 0);
            HashTable { tag: Tag(DT_HASH), field: "symbol count", index: 0, value: 6, limit: 7 }
        }),
        Refused("no hash table", |image| {
            without(image, DT_GNU_HASH);
            without(image, DT_HASH);
            NoHashTable
        }),
        Refused("more symbols than the segment has room for", |image| {
            without(image, DT_GNU_HASH);
            // The table ends with its segment, and there are two symbols less in it than counted.
            let vaddr = image.at.header_end as u64 - 5 * 24;
            image.set_dynamic(DT_SYMTAB, vaddr);
            TableOutsideSegment { tag: Tag(DT_SYMTAB), vaddr, bytes: 7 * 24 }
        }),
        Series("an image that defines nothing", defines_nothing),
    ],
};

/// Its GNU table is empty and counts nothing: the symbols reach to the next table at most.
fn defines_nothing(machine: Machine) {
    let mut image = TestImage::new(machine);
    without(&mut image, DT_HASH);
    for bucket in [24, 28] {
        image.put32(image.at.gnu_hash + bucket, 0);
    }
    let room = (image.at.strings - image.at.symbols) as u32 / 24;
    for (symbol, accepted) in [(0, true), (room - 1, true), (room, false), (u32::MAX, false)] {
        image.put_rela(image.at.plt, (WORDS + 32, symbol, image.numbers.absolute, 0));
        let offset = image.at.plt as u64;
        let refused = Err(SymbolIndex { offset, symbol, count: room as usize });
        let expected = if accepted { Ok(()) } else { refused };
        assert_eq!(planned(&image).map(|_| ()), expected, "{symbol}");
    }
}

pub(crate) const UNRESOLVED: HostileClass = HostileClass {
    number: 26,
    title: "strong symbols nobody offers, weak ones, and versions that do not fit",
    cases: &[
        Elsewhere("tests/loader_versions.rs", "refuses_each_broken_record_by_name"),
        Elsewhere(
            "tests/loader_versions.rs",
            "the_resolver_is_asked_for_the_version_and_a_missing_one_is_named",
        ),
        Elsewhere(
            "tests/loader_versions.rs",
            "an_image_built_against_a_newer_library_is_refused_with_name_and_version",
        ),
        Series("all missing names are in one error, and no memory is taken", all_missing),
        Series("64 names are listed, and all are counted", many_missing),
        Harmless(
            "a weak symbol is 0",
            // Its relocation adds something, which must not be taken for an address.
            |image| {
                image.put_rela(image.at.rela + 24 * 6, (WORDS + 24, 2, image.numbers.jump_slot, 0))
            },
            |loaded| {
                assert_eq!(loaded.memory.word(WORDS + 24), 0);
                assert_eq!(loaded.memory.word(WORDS + 32), IMPORTED);
            },
        ),
        Harmless(
            "a strong symbol that no relocation names",
            // It is wanted all the same: another image may have a use for the name.
            |image| image.put_rela(image.at.plt, (WORDS + 32, 0, image.numbers.absolute, 0x77)),
            |loaded| assert_eq!(loaded.memory.word(WORDS + 32), 0x77),
        ),
    ],
};

fn all_missing(machine: Machine) {
    let mut image = TestImage::new(machine);
    // Makes the weak one strong.
    image.bytes[image.at.symbols + 24 * 2 + 4] = 0x10;
    let plan = planned(&image).expect("a valid image");
    for (offered, expected) in [
        (Names(&[]), &[&b"imported"[..], b"optional"][..]),
        (Names(&[("imported", 16)]), &[b"optional"]),
        (Names(&[("optional", 16)]), &[b"imported"]),
        (Names(&[("entry", 16), ("importe", 16), ("imported2", 16)]), &[b"imported", b"optional"]),
    ] {
        let mut memory = CheckedMemory::new();
        match commit(&plan, &mut memory, &offered).expect_err("names are missing") {
            LoadError::Unresolved(missing) => {
                assert_eq!(missing.total(), expected.len());
                assert_eq!(missing.names().collect::<Vec<_>>(), expected);
            }
            other => panic!("{other}"),
        }
        assert_eq!(memory.operations.get(), 0);
    }
}

fn many_missing(machine: Machine) {
    for count in [63, 64, 65, 5000] {
        let mut image = TestImage::new(machine);
        // All strong, undefined and called `nobody`.
        let (_, strings) = image.append(b"\0nobody\0");
        let mut symbols = vec![0; 24];
        let import = [&[1, 0, 0, 0, 0x10][..], &[0; 19]].concat();
        symbols.extend(import.repeat(count));
        let (_, symbols) = image.append(&symbols);
        let total = count as u32 + 1;
        let mut hash: Vec<u8> =
            [1, total, 0].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        hash.resize(12 + 4 * total as usize, 0);
        let (_, hash) = image.append(&hash);
        without(&mut image, DT_GNU_HASH);
        image.set_dynamic(DT_HASH, hash);
        image.set_dynamic(DT_SYMTAB, symbols);
        image.set_dynamic(DT_STRTAB, strings);
        image.set_dynamic(DT_STRSZ, 8);
        for tag in [1, 14] {
            image.replace_dynamic(tag, 0x6000_0002, 0);
        }
        let plan = planned(&image).expect("a valid image");
        match commit(&plan, &mut CheckedMemory::new(), &Names(&[])).expect_err("names are missing")
        {
            LoadError::Unresolved(missing) => {
                assert_eq!((missing.total(), missing.names().count()), (count, count.min(64)));
                assert!(missing.names().all(|name| name == b"nobody"));
            }
            other => panic!("{other}"),
        }
    }
}
