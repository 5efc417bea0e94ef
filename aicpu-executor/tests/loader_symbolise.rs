//! Finds the function an address is in: for compiled programs, whose own tables of addresses say
//! what is right, and for hand-made symbol tables.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{Machine, Plan, PlanLimits, plan};
use goblin::elf::Elf;
use support::compiler::shared_object;
use support::image_builder::{DATA, TEXT, TestImage};
use support::section_table::{self, SymbolRow};
use support::{Loaded, plan_native};

/// Its functions, exported and not, and a way to ask where they are.
const PROGRAM: &str = r#"
    struct Shape { virtual long area(long side) { return side * side; } };
    __attribute__((noinline)) static long plain(long value) { return value * 3 + 1; }
    __attribute__((noinline, visibility("hidden"))) long hidden(long value) { return plain(value) - 7; }
    namespace deep { __attribute__((noinline)) long nested(long value) { return hidden(value) / 5; } }
    static Shape shape;
    long data = 3;
    extern "C" {
    long work(long value) { return deep::nested(value) + shape.area(value); }
    void *const places[] = {(void *)&plain, (void *)&hidden, (void *)&deep::nested, (void *)&work};
    long place(long which) { return (long)places[which]; }
    }"#;

/// The functions in `places`, and whether the dynamic symbol table has them.
const PLACES: [(&str, bool); 4] =
    [("_ZL5plainl", false), ("_Z6hiddenl", false), ("_ZN4deep6nestedEl", true), ("work", true)];

/// Returns name and offset of what is at an address, as linked.
fn symbolise(plan: &Plan<'_>, vaddr: u64) -> Option<(String, u64)> {
    let found = plan.symbolise(vaddr)?;
    Some((String::from_utf8_lossy(found.function.name).into_owned(), found.offset))
}

#[test]
fn names_the_functions_of_a_compiled_program() {
    for (flags, is_stripped) in [(&[][..], false), (&["-s"], true), (&["-g"], false)] {
        let image = shared_object(PROGRAM, flags);
        let loaded = Loaded::new(&image);
        for (which, (name, is_dynamic)) in PLACES.into_iter().enumerate() {
            let address = loaded.call_with("place", which as i64).cast_unsigned();
            let vaddr = address.wrapping_sub(loaded.image.bias());
            let is_known = is_dynamic || !is_stripped;
            for offset in 0..3 {
                let found = symbolise(&loaded.plan, vaddr + offset);
                assert_eq!(found, is_known.then(|| (name.to_owned(), offset)), "{flags:?}");
            }
        }
    }
}

#[test]
fn lists_the_functions_that_another_parser_finds() {
    for flags in [&[][..], &["-s"], &["-Wl,--hash-style=sysv"]] {
        let image = shared_object(PROGRAM, flags);
        let elf = Elf::parse(&image).unwrap();
        let (table, names) = match elf.syms.is_empty() {
            true => (&elf.dynsyms, &elf.dynstrtab),
            false => (&elf.syms, &elf.strtab),
        };
        let mut expected: Vec<_> = table
            .iter()
            .filter(|each| each.is_function() && !each.is_import())
            .map(|each| (names.get_at(each.st_name).unwrap(), each.st_value, each.st_size))
            .collect();
        let plan = plan_native(&image);
        let mut found: Vec<_> = plan
            .functions()
            .map(|each| (std::str::from_utf8(each.name).unwrap(), each.vaddr, each.size))
            .collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert!(found.len() >= 3, "{found:?}");
        assert_eq!(found, expected, "{flags:?}");
    }
}

#[test]
fn the_bytes_of_a_function_are_its_own_and_no_other() {
    let image = shared_object(PROGRAM, &[]);
    let plan = plan_native(&image);
    let elf = Elf::parse(&image).unwrap();
    let sized = elf.syms.iter().filter(|each| each.is_function() && each.st_size > 0);
    let mut checked = 0;
    for symbol in sized {
        let name = elf.strtab.get_at(symbol.st_name).unwrap().to_owned();
        let last = symbol.st_size - 1;
        let check = |offset: u64, expected| {
            assert_eq!(symbolise(&plan, symbol.st_value + offset), expected, "{name} + {offset}");
        };
        check(0, Some((name.clone(), 0)));
        check(last, Some((name.clone(), last)));
        let behind = symbolise(&plan, symbol.st_value + symbol.st_size);
        assert_ne!(behind.map(|(name, _)| name), Some(name), "behind the last byte");
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
    // Data has no function, nor have headers or what is outside.
    let data = plan.export(b"data").unwrap().vaddr;
    for vaddr in [0, data, u64::MAX, plan.start() + plan.span() as u64] {
        assert_eq!(plan.symbolise(vaddr), None, "{vaddr:#x}");
    }
}

const GLOBAL_FUNCTION: u8 = 0x12;
const LOCAL_FUNCTION: u8 = 0x02;
const WEAK_FUNCTION: u8 = 0x22;
const GLOBAL_LABEL: u8 = 0x10;
const LOCAL_LABEL: u8 = 0x00;
const GLOBAL_OBJECT: u8 = 0x11;

/// Plans a hand-made image with these symbols in `.symtab` and looks up addresses in it.
#[track_caller]
fn check(rows: &[SymbolRow], expected: &[(u64, Option<(&str, u64)>)]) {
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let mut image = TestImage::new(machine);
        section_table::append(&mut image.bytes, rows);
        let plan = plan(&image.bytes, machine, &PlanLimits::default()).expect("a valid image");
        for (vaddr, expected) in expected {
            let expected = expected.map(|(name, offset)| (name.to_owned(), offset));
            assert_eq!(symbolise(&plan, *vaddr), expected, "{machine} {vaddr:#x}");
        }
    }
}

#[test]
fn a_function_without_size_reaches_to_the_next_one_or_to_the_end_of_its_segment() {
    // The hand-made text has 0x100 bytes; the functions of its dynamic table end at 0x20.
    let rows = [
        ("open", GLOBAL_FUNCTION, 2, TEXT + 0x30, 0),
        ("closed", LOCAL_FUNCTION, 2, TEXT + 0x40, 0x10),
        ("label", GLOBAL_LABEL, 2, TEXT + 0x80, 0),
    ];
    let expected = [
        (TEXT + 0x2f, None),
        (TEXT + 0x30, Some(("open", 0))),
        (TEXT + 0x3f, Some(("open", 0xf))),
        (TEXT + 0x40, Some(("closed", 0))),
        (TEXT + 0x4f, Some(("closed", 0xf))),
        // Behind `closed`, which starts behind `open`: nobody's.
        (TEXT + 0x50, None),
        (TEXT + 0x7f, None),
        (TEXT + 0x80, Some(("label", 0))),
        (TEXT + 0xff, Some(("label", 0x7f))),
        (TEXT + 0x100, None),
        (DATA, None),
    ];
    check(&rows, &expected);
}

#[test]
fn of_several_functions_the_one_that_starts_last_counts_and_of_several_names_a_global_one() {
    let rows = [
        ("outer", GLOBAL_FUNCTION, 2, TEXT + 0x40, 0x40),
        ("inner", LOCAL_FUNCTION, 2, TEXT + 0x50, 0x10),
        ("mark", GLOBAL_LABEL, 2, TEXT + 0x70, 0),
        ("local_name", LOCAL_FUNCTION, 2, TEXT + 0x90, 0x10),
        ("weak_name", WEAK_FUNCTION, 2, TEXT + 0x90, 0x10),
        ("global_name", GLOBAL_FUNCTION, 2, TEXT + 0x90, 0x10),
        ("open_name", GLOBAL_FUNCTION, 2, TEXT + 0x90, 0),
    ];
    let expected = [
        (TEXT + 0x4f, Some(("outer", 0xf))),
        (TEXT + 0x50, Some(("inner", 0))),
        (TEXT + 0x60, Some(("outer", 0x20))),
        (TEXT + 0x71, Some(("mark", 1))),
        (TEXT + 0x95, Some(("weak_name", 5))),
        (TEXT + 0xa0, Some(("open_name", 0x10))),
    ];
    check(&rows, &expected);
}

#[test]
fn symbols_that_are_no_code_are_passed_over() {
    let rows = [
        ("data", GLOBAL_FUNCTION, 3, DATA, 0x10),
        ("object", GLOBAL_OBJECT, 2, TEXT + 0x40, 0x10),
        ("$x", LOCAL_LABEL, 2, TEXT + 0x40, 0),
        ("undefined", GLOBAL_FUNCTION, 0, TEXT + 0x40, 0x10),
        ("absolute", GLOBAL_FUNCTION, 0xfff1, TEXT + 0x40, 0x10),
        ("outside", GLOBAL_FUNCTION, 2, u64::MAX - 4, 0x10),
        ("", GLOBAL_FUNCTION, 2, TEXT + 0x40, 0x10),
        // Runs past the end of the text: cut there.
        ("long", GLOBAL_FUNCTION, 2, TEXT + 0xf0, u64::MAX),
    ];
    let expected = [
        (TEXT + 0x45, None),
        (DATA, None),
        (u64::MAX - 4, None),
        (TEXT + 0xff, Some(("long", 0xf))),
        (TEXT + 0x100, None),
    ];
    check(&rows, &expected);
    let mut image = TestImage::new(Machine::X86_64);
    section_table::append(&mut image.bytes, &rows);
    let plan = plan(&image.bytes, Machine::X86_64, &PlanLimits::default()).unwrap();
    let listed: Vec<_> =
        plan.functions().map(|each| (each.name, each.vaddr, each.size, each.is_global)).collect();
    assert_eq!(listed, [(&b"long"[..], TEXT + 0xf0, 0x10, true)]);
}

#[test]
fn what_the_full_table_leaves_out_is_found_among_the_exports() {
    let rows = [("other", GLOBAL_FUNCTION, 2, TEXT + 0x80, 0x10)];
    // `entry` is exported with 16 bytes at the start of the text.
    check(&rows, &[(TEXT + 5, Some(("entry", 5))), (TEXT + 0x80, Some(("other", 0)))]);
}
