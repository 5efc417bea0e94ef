//! What is said about compiled images, against another parser of the same files.

use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;

use super::*;
use crate::device::sim::test_objects::{cxx_bytes, cxx_bytes_with};

const SOURCE: &str = r#"
    #include <cstring>
    #include <stdexcept>
    const char *names[] = {"one", "two"};
    long data[2000] = {1};
    extern "C" {
    __attribute__((weak)) void nobody_needs_this();
    __attribute__((weak)) long maybe() { return 1; }
    void aicpu_orchestration_entry(const char *text) {
        if (nobody_needs_this) nobody_needs_this();
        if (strlen(text) > 3) throw std::runtime_error(names[data[0]]);
    }
    long other_config() { return 2; }
    }"#;

fn names<'a>(entry: &'a str, config: &'a str) -> EntryNames<'a> {
    EntryNames { entry, config }
}

#[test]
fn an_image_that_loads_is_described_as_another_parser_sees_it() {
    let file = cxx_bytes("inspected", SOURCE);
    let found = inspect(&file, EntryNames::default());
    assert!(found.loads && found.is_native && found.refusal.is_none(), "{:?}", found.refusal);
    assert_eq!((found.file_bytes, found.slot_bytes), (file.len(), Some(16 << 20)));
    assert_eq!(found.build_id.map(|id| id.len()), Some(40));
    let image = found.image.unwrap();
    let elf = Elf::parse(&file).unwrap();
    let loads: Vec<_> = elf.program_headers.iter().filter(|each| each.p_type == PT_LOAD).collect();
    assert_eq!(image.segments.len(), loads.len());
    for (segment, load) in image.segments.iter().zip(loads) {
        let rights = [(load.is_read(), 'r'), (load.is_write(), 'w'), (load.is_executable(), 'x')];
        let rights: String =
            rights.map(|(is, letter)| if is { letter } else { '-' }).iter().collect();
        let pages = (load.p_vaddr + load.p_memsz).div_ceil(4096) - load.p_vaddr / 4096;
        let expected = (load.p_offset, load.p_vaddr, load.p_filesz, load.p_memsz);
        let SegmentFacts { offset, vaddr, file_bytes, memory_bytes, .. } = *segment;
        assert_eq!((offset, vaddr, file_bytes, memory_bytes), expected);
        assert_eq!((&segment.rights, segment.pages as u64), (&rights, pages));
    }
    let counts = image.relocations;
    assert_eq!(counts.plt, elf.pltrelocs.len());
    assert_eq!(counts.relative + counts.symbolic, elf.dynrelas.len());
    assert_eq!(
        image.needed.iter().map(|each| each.name.as_str()).collect::<Vec<_>>(),
        elf.libraries
    );
    assert!(image.needed.iter().all(|each| each.allowed));
    assert!(image.unwind.is_some_and(|tables| tables.bytes.is_some_and(|bytes| bytes > 100)));
    assert!(image.missing.is_empty());
    let import = |name: &str| image.imports.iter().find(|each| each.name == name).unwrap();
    let strlen = import("strlen");
    assert_eq!((strlen.weak, strlen.offered), (false, Some(true)));
    assert!(strlen.version.as_ref().is_some_and(|version| version.starts_with("GLIBC_2.")));
    let nobody = import("nobody_needs_this");
    assert_eq!((nobody.weak, nobody.offered, &nobody.version), (true, Some(false), &None));
    let export = |name: &str| {
        let export = image.exports.iter().find(|each| each.name == name).unwrap();
        (export.kind, export.weak, export.bytes)
    };
    assert_eq!(export("data"), ("data", false, 16_000));
    assert!(matches!(export("maybe"), ("function", true, 1..)));
    let roles: Vec<_> = image.roles.iter().map(|each| (each.role, each.present)).collect();
    use ExportRole::{Bind, Config, Entry};
    assert_eq!(roles, [(Entry, true), (Config, false), (Bind, false)]);
}

#[test]
fn the_functions_looked_for_are_those_that_a_callable_names() {
    let file = cxx_bytes("inspected", SOURCE);
    let found = inspect(&file, names("maybe", "other_config")).image.unwrap();
    assert_eq!(
        found.roles.iter().map(|each| each.present).collect::<Vec<_>>(),
        [true, true, false]
    );
    for entry in ["data", "nowhere"] {
        let found = inspect(&file, names(entry, "other_config"));
        let refusal = found.refusal.unwrap();
        assert_eq!(refusal.kind, "Entry");
        assert!(refusal.message.starts_with(&format!("cannot be entered at `{entry}`: ")));
        assert!(refusal.advice.unwrap().contains("--entry"));
    }
}

#[test]
fn a_kernel_is_told_apart() {
    let file = cxx_bytes("kernel", "extern \"C\" void kernel_entry(long *) {}");
    let refusal = inspect(&file, EntryNames::default()).refusal.unwrap();
    assert!(refusal.advice.unwrap().contains("looks like a kernel"), "{refusal:?}");
}

#[test]
fn all_names_that_nobody_offers_are_listed() {
    let file = cxx_bytes(
        "missing",
        "extern \"C\" { long one(); long two(); \
         long aicpu_orchestration_entry() { return one() + two(); } }",
    );
    let found = inspect(&file, EntryNames::default());
    let mut missing = found.image.unwrap().missing;
    missing.sort();
    assert_eq!(missing, ["one", "two"]);
    let refusal = found.refusal.unwrap();
    assert_eq!(refusal.kind, "Unresolved");
    assert!(refusal.message.starts_with("2 names are not offered: "), "{refusal:?}");
}

#[test]
fn a_file_for_another_machine_is_described_and_its_names_are_not_looked_up() {
    // Without start files no word of it is relocated, so it is as good for the other machine.
    let source = "extern \"C\" { long aicpu_orchestration_entry() { return 1; } }";
    let mut file = cxx_bytes_with("bare", source, &["-nostdlib"]);
    let bare = inspect(&file, EntryNames::default());
    assert!(bare.loads && bare.is_native, "{:?}", bare.refusal);
    let (other, name) = match bare.machine {
        Some("x86-64") => (183, "AArch64"),
        _ => (62, "x86-64"),
    };
    file[18] = other;
    let found = inspect(&file, EntryNames::default());
    assert_eq!((found.loads, found.machine, found.is_native), (true, Some(name), false));
    assert_eq!(found.image.map(|image| image.segments), bare.image.map(|image| image.segments));
    // Relocations have other numbers there: 6 and 1025 are slots for the address of a symbol.
    let source = "extern \"C\" { long nobody(); long aicpu_orchestration_entry() { return 1; } \
                  long other() { return nobody(); } }";
    let mut file = cxx_bytes_with("importing", source, &["-nostdlib", "-fno-plt"]);
    assert_eq!(inspect(&file, EntryNames::default()).refusal.unwrap().kind, "Unresolved");
    file[18] = other;
    let refusal = inspect(&file, EntryNames::default()).refusal.unwrap();
    assert_eq!(refusal.kind, "RelocationType", "{refusal:?}");
    file[18] = if other == 183 { 62 } else { 183 };
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.dynrelas.len(), 1);
    let table = elf.dynamic.unwrap().info.rela;
    let number: u32 = if other == 183 { 1025 } else { 6 };
    file[table + 8..table + 12].copy_from_slice(&number.to_le_bytes());
    file[18] = other;
    let found = inspect(&file, EntryNames::default());
    assert!(found.loads, "{:?}", found.refusal);
    let imports = found.image.unwrap().imports;
    assert_eq!(
        imports.iter().map(|each| (each.name.as_str(), each.offered)).collect::<Vec<_>>(),
        [("nobody", None)]
    );
}

#[test]
fn what_is_known_of_a_refused_file_is_said() {
    let file = cxx_bytes("inspected", SOURCE);
    let check = |file: &[u8], kind: &str| {
        let found = inspect(file, EntryNames::default());
        assert!(!found.loads);
        let refusal = found.refusal.clone().unwrap();
        assert_eq!(refusal.kind, kind, "{refusal:?}");
        found
    };
    assert_eq!(
        check(b"#!/bin/sh and more, more than the 64 bytes of a header of an ELF file", "NotElf")
            .machine,
        None
    );
    let cut = check(&file[..file.len() / 2], "OutsideFile");
    assert_eq!((cut.machine.is_some(), cut.build_id.is_some(), cut.image), (true, true, None));
    let mut executable = file.clone();
    executable[16] = 2;
    assert!(check(&executable, "NotSharedObject").build_id.is_some());
    let mut unknown = file.clone();
    unknown[18] = 40;
    assert_eq!(check(&unknown, "WrongMachine").machine, None);
}

#[test]
fn an_image_that_is_only_too_large_is_described_all_the_same() {
    let source =
        "char room[17 << 20]; extern \"C\" char *aicpu_orchestration_entry() { return room; }";
    let found = inspect(&cxx_bytes("large", source), EntryNames::default());
    assert_eq!(found.refusal.map(|refusal| refusal.kind), Some("SpanTooLarge".to_owned()));
    assert!(found.image.is_some_and(|image| image.span_bytes > 17 << 20));
}

#[test]
fn a_graph_is_judged_by_what_the_system_loader_is_shown() {
    let source = "extern \"C\" int nobody(); extern \"C\" int graph(void *) { return nobody(); }";
    let file = cxx_bytes("graph", source);
    let found = inspect_graph(&file, "graph");
    // Who offers `nobody` is for the system's loader to find; the loader of trb asks here and now.
    assert!(found.loads && found.is_native, "{:?}", found.refusal);
    assert_eq!((found.runtime, found.slot_bytes, found.file_bytes), ("hbg", None, file.len()));
    let image = found.image.unwrap();
    let nobody = image.imports.iter().find(|each| each.name == "nobody").unwrap();
    assert_eq!((nobody.offered, image.missing.len()), (None, 0));
    let roles: Vec<_> = image.roles.iter().map(|each| (each.role, each.present)).collect();
    assert_eq!(roles, [(ExportRole::Entry, true)]);
    let trb = inspect(&file, names("graph", "none"));
    assert_eq!((trb.runtime, trb.refusal.unwrap().kind.as_str()), ("trb", "Unresolved"));
}

#[test]
fn a_graph_may_be_what_the_other_loader_refuses() {
    // Storage of a thread: the system's loader gives it, and the plan has no place for it.
    let source = "thread_local int depth; extern \"C\" int graph(void *) { return ++depth; }";
    let file = cxx_bytes("graph_of_threads", source);
    let found = inspect_graph(&file, "graph");
    assert!(found.loads && found.refusal.is_none() && found.image.is_none());
    assert!(!inspect(&file, names("graph", "none")).loads);
}

#[test]
fn a_graph_that_would_not_be_opened_says_why() {
    let file = cxx_bytes("graph", "extern \"C\" int graph(void *) { return 0; }");
    let damaged = file[..file.len() / 2].to_vec();
    let rows = [
        (file.clone(), "grph", "MissingSymbol", "does not export `grph`"),
        (damaged, "graph", "Truncated", "copy it again"),
        (b"#!/bin/sh\n".to_vec(), "graph", "NotElf", "pass a compiled shared object"),
        (Vec::new(), "graph", "NotElf", "not an ELF file"),
    ];
    for (bytes, entry, kind, part) in rows {
        let found = inspect_graph(&bytes, entry);
        let refusal = found.refusal.unwrap();
        assert!(!found.loads && refusal.message.contains(part), "{}", refusal.message);
        assert_eq!(refusal.kind, kind);
    }
}
