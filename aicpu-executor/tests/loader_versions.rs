//! Symbol versions, in hand-made images of both machines and in compiled ones.
//!
//! Class 26 of design loader §4.1. Offsets in the expectations are those of the records of the
//! Linux Standard Base, written out.

#[path = "support/support.rs"]
mod support;

use std::collections::BTreeMap;

use aicpu_executor::loader::PlanError::{
    MissingTag, StringOutsideTable, SymbolVersion as UnknownVersion, TableOutsideSegment,
    VersionRecord,
};
use aicpu_executor::loader::{
    Import, LoadError, Machine, Plan, PlanError, PlanLimits, SymbolResolver, SymbolVersion, Tag,
    commit, plan,
};
use support::checked_memory::CheckedMemory;
use support::compiler::shared_object;
use support::versioned_image::{
    DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM, HIDDEN, VersionedImage,
};
use support::{Loaded, Names, plan_native};

const MACHINES: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];

fn planned(versioned: &VersionedImage) -> Plan<'_> {
    let image = &versioned.image;
    plan(&image.bytes, image.machine, &PlanLimits::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn an_import_has_the_version_that_the_records_give() {
    for machine in MACHINES {
        let versioned = VersionedImage::new(machine);
        let plan = planned(&versioned);
        let version = |name| Some(SymbolVersion { name });
        let expected = [
            Import { name: b"imported", weak: false, version: version(b"V_MATH") },
            Import { name: b"optional", weak: true, version: version(b"V_NEW") },
        ];
        assert_eq!(plan.imports().collect::<Vec<_>>(), expected);
        assert_eq!(expected[0].to_string(), "imported@V_MATH");
    }
}

#[test]
fn numbers_without_meaning_are_no_version() {
    for number in [0, 1, HIDDEN, HIDDEN | 1] {
        let mut versioned = VersionedImage::new(Machine::X86_64);
        versioned.set_number("imported", number);
        let plan = planned(&versioned);
        let imported = plan.imports().next().unwrap();
        assert_eq!(imported.version, None, "{number:#x}");
        assert_eq!(imported.to_string(), "imported");
    }
}

#[test]
fn a_hidden_export_is_not_found_by_its_plain_name() {
    for machine in MACHINES {
        let versioned = VersionedImage::new(machine);
        let plan = planned(&versioned);
        assert!(plan.export(b"entry").is_some() && plan.export(b"table").is_some());
        assert_eq!(plan.export(b"config"), None);
    }
}

/// Offers one version of `imported`.
struct OneVersion(&'static [u8]);

impl SymbolResolver for OneVersion {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        let matches = import.version.is_some_and(|version| version.name == self.0);
        (import.name == b"imported" && matches).then_some(0x5555_0000)
    }
}

#[test]
fn the_resolver_is_asked_for_the_version_and_a_missing_one_is_named() {
    for machine in MACHINES {
        let versioned = VersionedImage::new(machine);
        let plan = planned(&versioned);
        let mut memory = CheckedMemory::new();
        assert!(commit(&plan, &mut memory, &OneVersion(b"V_MATH")).is_ok());
        let mut memory = CheckedMemory::new();
        match commit(&plan, &mut memory, &OneVersion(b"V_NEW")) {
            Err(LoadError::Unresolved(missing)) => {
                assert_eq!(missing.names().collect::<Vec<_>>(), [b"imported@V_MATH"]);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What is broken, and how. The function returns the error expected.
type Row = (&'static str, fn(&mut VersionedImage) -> PlanError);

fn need(field: &'static str, record: u64, value: u64, limit: u64) -> PlanError {
    VersionRecord { tag: Tag(DT_VERNEED), field, record, value, limit }
}

fn definition(field: &'static str, record: u64, value: u64, limit: u64) -> PlanError {
    VersionRecord { tag: Tag(DT_VERDEF), field, record, value, limit }
}

/// Writes a half-word and a word of the records.
fn put16(versioned: &mut VersionedImage, place: usize, value: u16) {
    versioned.image.put16(place, value);
}

fn put32(versioned: &mut VersionedImage, place: usize, value: u32) {
    versioned.image.put32(place, value);
}

/// Bytes from a table to the end of its segment.
fn rest(versioned: &VersionedImage, place: usize) -> u64 {
    (versioned.end - place) as u64
}

const ROWS: &[Row] = &[
    ("numbers outside the segments", |v| {
        v.put_dynamic(DT_VERSYM, DT_VERSYM, 0x1000);
        TableOutsideSegment { tag: Tag(DT_VERSYM), vaddr: 0x1000, bytes: 14 }
    }),
    ("numbers that end outside", |v| {
        let vaddr = v.end as u64 - 13;
        v.put_dynamic(DT_VERSYM, DT_VERSYM, vaddr);
        TableOutsideSegment { tag: Tag(DT_VERSYM), vaddr, bytes: 14 }
    }),
    ("needs outside the segments", |v| {
        v.put_dynamic(DT_VERNEED, DT_VERNEED, u64::MAX - 3);
        TableOutsideSegment { tag: Tag(DT_VERNEED), vaddr: u64::MAX - 3, bytes: 0 }
    }),
    ("definitions outside the segments", |v| {
        v.put_dynamic(DT_VERDEF, DT_VERDEF, 0x1800);
        TableOutsideSegment { tag: Tag(DT_VERDEF), vaddr: 0x1800, bytes: 0 }
    }),
    ("needs without count", |v| {
        v.put_dynamic(DT_VERNEEDNUM, 0x6000_0002, 0);
        MissingTag { tag: Tag(DT_VERNEEDNUM) }
    }),
    ("count without definitions", |v| {
        v.put_dynamic(DT_VERDEF, 0x6000_0002, 0);
        MissingTag { tag: Tag(DT_VERDEF) }
    }),
    ("form of a need", |v| {
        put16(v, v.needs + 48, 2);
        need("vn_version", 1, 2, 1)
    }),
    ("form of a definition", |v| {
        put16(v, v.definitions, 0);
        definition("vd_version", 0, 0, 1)
    }),
    ("library without versions", |v| {
        put16(v, v.needs + 2, 0);
        need("vn_cnt", 0, 0, 64)
    }),
    ("library with too many versions", |v| {
        put16(v, v.needs + 2, 65);
        need("vn_cnt", 0, 65, 64)
    }),
    ("library with more versions than follow", |v| {
        put16(v, v.needs + 2, 3);
        need("vna_next", 0, 0, 8)
    }),
    ("definition without name", |v| {
        put16(v, v.definitions + 28 + 6, 0);
        definition("vd_cnt", 1, 0, 64)
    }),
    ("definition with more names than follow", |v| {
        put16(v, v.definitions + 6, 2);
        definition("vda_next", 0, 0, 8)
    }),
    ("more libraries than follow", |v| {
        v.put_dynamic(DT_VERNEEDNUM, DT_VERNEEDNUM, 3);
        need("vn_next", 1, 0, 8)
    }),
    ("all libraries there can be", |v| {
        v.put_dynamic(DT_VERNEEDNUM, DT_VERNEEDNUM, u64::MAX);
        need("vn_next", 1, 0, 8)
    }),
    ("more definitions than follow", |v| {
        v.put_dynamic(DT_VERDEFNUM, DT_VERDEFNUM, 3);
        definition("vd_next", 1, 0, 8)
    }),
    ("version that follows itself", |v| {
        put32(v, v.needs + 16 + 12, 0);
        need("vna_next", 0, 0, 8)
    }),
    ("version that follows inside the one before", |v| {
        put32(v, v.needs + 16 + 12, 7);
        need("vna_next", 0, 7, 8)
    }),
    ("versions inside their own record", |v| {
        put32(v, v.needs + 8, 4);
        need("vn_aux", 0, 4, 8)
    }),
    ("library behind the segment", |v| {
        put32(v, v.needs + 12, 0x1_0000);
        let have = rest(v, v.needs);
        need("position", 1, 0x1_0000, have)
    }),
    ("library that ends behind the segment", |v| {
        let have = rest(v, v.needs);
        put32(v, v.needs + 12, have as u32 - 15);
        need("position", 1, have - 15, have)
    }),
    ("version behind the segment", |v| {
        put32(v, v.needs + 48 + 8, u32::MAX);
        let have = rest(v, v.needs);
        need("position", 1, 48 + u64::from(u32::MAX), have)
    }),
    ("name of a definition behind the segment", |v| {
        put32(v, v.definitions + 28 + 12, 0x2000);
        let have = rest(v, v.definitions);
        definition("position", 1, 28 + 0x2000, have)
    }),
    ("number without meaning", |v| {
        put16(v, v.needs + 16 + 6, 1);
        need("vna_other", 0, 1, 64)
    }),
    ("number past the limit", |v| {
        put16(v, v.needs + 16 + 6, 64);
        need("vna_other", 0, 64, 64)
    }),
    ("number given twice", |v| {
        put16(v, v.needs + 64 + 6, 3);
        need("vna_other", 1, 3, 64)
    }),
    ("number of a definition", |v| {
        put16(v, v.needs + 16 + 6, 2);
        need("vna_other", 0, 2, 64)
    }),
    ("definition number zero", |v| {
        put16(v, v.definitions + 4, 0);
        definition("vd_ndx", 0, 0, 64)
    }),
    ("definition number given twice", |v| {
        put16(v, v.definitions + 28 + 4, 1);
        definition("vd_ndx", 1, 1, 64)
    }),
    ("definition number past the limit", |v| {
        put16(v, v.definitions + 28 + 4, 0x8002);
        definition("vd_ndx", 1, 0x8002, 64)
    }),
    ("empty version name", |v| {
        put32(v, v.needs + 16 + 8, 0);
        need("vna_name", 0, 0, 1)
    }),
    ("version name outside the strings", |v| {
        put32(v, v.needs + 64 + 8, 0xffff);
        outside_strings(v, "version", 4)
    }),
    ("library name outside the strings", |v| {
        put32(v, v.needs + 48 + 4, 0xffff);
        outside_strings(v, "library of versions", 1)
    }),
    ("definition name outside the strings", |v| {
        put32(v, v.definitions + 56, 0xffff);
        outside_strings(v, "version", 2)
    }),
    ("import of a version nobody needs", |v| {
        v.set_number("imported", 6);
        UnknownVersion { symbol: 1, version: 6 }
    }),
    ("import of a version of the image itself", |v| {
        v.set_number("optional", 2);
        UnknownVersion { symbol: 2, version: 2 }
    }),
    ("export of an unknown version", |v| {
        v.set_number("unique", HIDDEN | 0x7fff);
        UnknownVersion { symbol: v.image.symbol("unique"), version: 0x7fff }
    }),
];

fn outside_strings(v: &VersionedImage, what: &'static str, index: u64) -> PlanError {
    let table_bytes = v.image.at.string_bytes + 46;
    StringOutsideTable { what, index, string: 0xffff, table_bytes }
}

#[test]
fn refuses_each_broken_record_by_name() {
    for machine in MACHINES {
        for (name, break_it) in ROWS {
            let mut versioned = VersionedImage::new(machine);
            let expected = break_it(&mut versioned);
            let bytes = &versioned.image.bytes;
            let found = plan(bytes, machine, &PlanLimits::default()).map(|_| ());
            assert_eq!(found, Err(expected), "{name}, {machine}");
            // A sentence of its own, not the fallback.
            assert_ne!(expected.to_string(), format!("{expected:?}"), "{name}");
        }
    }
}

#[test]
fn the_highest_number_is_63() {
    for (number, accepted) in [(62, true), (63, true), (64, false)] {
        let mut versioned = VersionedImage::new(Machine::Aarch64);
        let place = versioned.needs + 64 + 6;
        versioned.image.put16(place, number);
        versioned.set_number("imported", number);
        let bytes = &versioned.image.bytes;
        let found = plan(bytes, Machine::Aarch64, &PlanLimits::default());
        assert_eq!(found.is_ok(), accepted, "{number}");
    }
}

#[test]
fn the_imports_of_a_compiled_image_have_the_versions_that_their_libraries_give() {
    let source = r#"
        #include <cstdlib>
        #include <stdexcept>
        extern "C" long work(long n) { if (n) throw std::runtime_error("n"); return std::rand(); }
    "#;
    let image = shared_object(source, &[]);
    let plan = plan_native(&image);
    let versions: BTreeMap<&[u8], Option<SymbolVersion<'_>>> =
        plan.imports().map(|import| (import.name, import.version)).collect();
    let check = |name: &str, version: &str| {
        let expected = SymbolVersion { name: version.as_bytes() };
        assert_eq!(versions.get(name.as_bytes()), Some(&Some(expected)), "{name}");
    };
    // The versions of these names are part of the ABI of the libraries.
    check("_ZNSt13runtime_errorC1EPKc", "GLIBCXX_3.4.21");
    check("__cxa_throw", "CXXABI_1.3");
    check("_Unwind_Resume", "GCC_3.0");
    let oldest = if cfg!(target_arch = "x86_64") { "GLIBC_2.2.5" } else { "GLIBC_2.17" };
    check("rand", oldest);
    assert_eq!(versions.get(&b"__gmon_start__"[..]), Some(&None));
}

/// Two versions of one name, as library authors keep old programs running.
#[test]
fn the_default_version_of_a_compiled_export_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("versions");
    std::fs::write(&script, "V_1 { work; }; V_2 { work; } V_1; V_3 { only_old; };").unwrap();
    let source = r#"
        asm(".symver first, work@V_1");
        asm(".symver second, work@@V_2");
        asm(".symver old, only_old@V_3");
        extern "C" __attribute__((used)) long first() { return 1; }
        extern "C" __attribute__((used)) long second() { return 2; }
        extern "C" __attribute__((used)) long old() { return 3; }
    "#;
    let script = format!("-Wl,--version-script={}", script.display());
    for hash in ["-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv"] {
        let image = shared_object(source, &[&script, hash]);
        let loaded = Loaded::new(&image);
        assert_eq!(loaded.call("work"), 2, "{hash}");
        assert_eq!(loaded.plan.export(b"only_old"), None, "{hash}");
    }
}

#[test]
fn an_image_built_against_a_newer_library_is_refused_with_name_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let script = write("versions", "NEWER_2.0 { newer; };");
    let script = format!("-Wl,--version-script={}", script.display());
    let library = shared_object(
        "extern \"C\" long newer() { return 1; }",
        &[&script, "-Wl,-soname,libc.so.6"],
    );
    let path = folder.path().join("libnewer.so");
    std::fs::write(&path, library).unwrap();
    let image = shared_object(
        "extern \"C\" long newer(); extern \"C\" long work() { return newer(); }",
        &["-nostdlib", "-Wl,--no-as-needed", path.to_str().unwrap()],
    );
    let plan = plan_native(&image);
    let imports: Vec<_> = plan.imports().map(|import| import.to_string()).collect();
    assert_eq!(imports, ["newer@NEWER_2.0"]);
    let mut memory = support::slot();
    match commit(&plan, &mut memory, &Names(&[])) {
        Err(LoadError::Unresolved(missing)) => {
            assert_eq!(missing.names().collect::<Vec<_>>(), [b"newer@NEWER_2.0"]);
        }
        other => panic!("{other:?}"),
    }
}
