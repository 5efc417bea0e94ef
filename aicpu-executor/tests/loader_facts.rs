//! What a plan says about an image for people, against another parser of the same file.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{ImageLabel, Machine, PlanLimits, RelocationCounts, SymbolKind, plan};
use goblin::elf::Elf;
use goblin::elf::dynamic::{DT_FINI_ARRAYSZ, DT_INIT_ARRAYSZ};
use goblin::elf::program_header::PT_GNU_RELRO;
use support::compiler::shared_object;
use support::image_builder::{RELRO, TestImage};
use support::plan_native;

const PROGRAM: &str = r#"
    #include <cstdlib>
    #include <new>
    struct Base { virtual ~Base() {} virtual long work(long) = 0; };
    struct One : Base { long work(long v) override { return v + 1; } };
    long numbers[1000] = {1, 2, 3};
    long *inside[] = {&numbers[2], numbers, &numbers[1000]};
    void *outside[] = {(void *)&malloc, (void *)&free};
    static const char *const names[] = {"one", "two", "three"};
    One one;
    __attribute__((constructor)) static void start() { numbers[0] = 5; }
    __attribute__((destructor)) static void stop() { numbers[0] = 6; }
    extern "C" __attribute__((weak)) long maybe() { return 1; }
    extern "C" long entry(long which) {
        if (which < 0) throw std::bad_alloc();
        return *inside[which] + names[which][0] + one.work(which);
    }"#;

#[test]
fn relocations_are_counted_by_kind() {
    // Numbers of x86-64 and AArch64: relative relocations.
    let relative = match Machine::native() {
        Machine::X86_64 => 8,
        Machine::Aarch64 => 1027,
    };
    for flags in [&[][..], &["-Wl,-z,pack-relative-relocs"], &["-fno-plt"], &["-Wl,-Bsymbolic"]] {
        let image = shared_object(PROGRAM, flags);
        let elf = Elf::parse(&image).unwrap();
        let is_relative = |each: &goblin::elf::Reloc| each.r_type == relative;
        let plan = plan_native(&image);
        let counts = plan.relocation_counts();
        let expected = RelocationCounts {
            relative: elf.dynrelas.iter().filter(is_relative).count(),
            // The other parser does not know them: all there are but the others.
            packed: plan.relocations() - elf.dynrelas.len() - elf.pltrelocs.len(),
            symbolic: elf.dynrelas.iter().filter(|each| !is_relative(each)).count(),
            plt: elf.pltrelocs.len(),
        };
        assert_eq!(counts, expected, "{flags:?}");
        assert_eq!(counts.packed > 0, flags.iter().any(|flag| flag.contains("pack")), "{counts:?}");
        assert!(counts.symbolic >= 4, "{counts:?}");
    }
    // Written down where the image is built: 4 of 7 relocations, 3 words of one bitmap.
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let image = TestImage::new(machine);
        let plan = plan(&image.bytes, machine, &PlanLimits::default()).unwrap();
        let expected = RelocationCounts { relative: 4, packed: 3, symbolic: 3, plt: 1 };
        assert_eq!(plan.relocation_counts(), expected);
        assert_eq!((plan.initialisers(), plan.finalisers()), (3, 2));
        assert_eq!(plan.relro(), Some((RELRO, 0x1000)));
    }
}

#[test]
fn exports_are_those_that_another_parser_finds() {
    let image = shared_object(PROGRAM, &[]);
    let elf = Elf::parse(&image).unwrap();
    let mut expected: Vec<_> = elf
        .dynsyms
        .iter()
        .filter(|each| each.st_shndx != 0 && each.st_bind() != 0)
        .map(|each| {
            let name = elf.dynstrtab.get_at(each.st_name).unwrap();
            (name, each.st_value, each.st_size, each.is_function(), each.st_bind() == 2)
        })
        .collect();
    let plan = plan_native(&image);
    let mut found: Vec<_> = plan
        .exports()
        .map(|each| {
            let name = std::str::from_utf8(each.name).unwrap();
            let is_function = each.export.kind == SymbolKind::Function;
            (name, each.export.vaddr, each.export.size, is_function, each.weak)
        })
        .collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let row = |name: &str| found.iter().find(|each| each.0 == name).map(|each| (each.3, each.4));
    assert_eq!(row("entry"), Some((true, false)));
    assert_eq!(row("maybe"), Some((true, true)));
    assert_eq!(row("numbers"), Some((false, false)));
}

#[test]
fn constructors_and_read_only_pages_are_those_of_the_headers() {
    let image = shared_object(PROGRAM, &[]);
    let elf = Elf::parse(&image).unwrap();
    let plan = plan_native(&image);
    let bytes = |tag| {
        let entries = &elf.dynamic.as_ref().unwrap().dyns;
        entries.iter().find(|each| each.d_tag == tag).unwrap().d_val as usize
    };
    // DT_INIT and DT_FINI come on top of the arrays; the start files of GCC bring both.
    assert_eq!(plan.initialisers(), bytes(DT_INIT_ARRAYSZ) / 8 + 1);
    assert_eq!(plan.finalisers(), bytes(DT_FINI_ARRAYSZ) / 8 + 1);
    let relro = elf.program_headers.iter().find(|each| each.p_type == PT_GNU_RELRO).unwrap();
    let (vaddr, bytes) = plan.relro().unwrap();
    assert!(vaddr.is_multiple_of(4096) && bytes.is_multiple_of(4096));
    // Whole pages; the first one has nothing else on it.
    assert_eq!(vaddr, relro.p_vaddr / 4096 * 4096);
    assert_eq!(vaddr + bytes, (relro.p_vaddr + relro.p_memsz) / 4096 * 4096);
    let without = shared_object(PROGRAM, &["-Wl,-z,norelro"]);
    assert_eq!(plan_native(&without).relro(), None);
}

#[test]
fn a_label_has_the_soname_and_the_whole_build_id() {
    let digits = "00112233445566778899aabbccddeeff01234567";
    let id = format!("-Wl,--build-id=0x{digits}");
    let image = shared_object(PROGRAM, &[&id, "-Wl,-soname,libdemo.so.1"]);
    let label = ImageLabel::of_plan(&plan_native(&image));
    assert_eq!(label.to_string(), format!("libdemo.so.1 (build-id {digits})"));
    assert_eq!(ImageLabel::of_file(&image).to_string(), format!("(build-id {digits})"));
    let without = shared_object(PROGRAM, &["-Wl,--build-id=none"]);
    assert_eq!(ImageLabel::of_plan(&plan_native(&without)).to_string(), "(no build-id)");
}
