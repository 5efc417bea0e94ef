//! What is written for gdb and perf about a program whose own pointers say where its functions are.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use aicpu_executor::loader::{Machine, Plan, PlanLimits, plan};
use goblin::elf::Elf;
use goblin::elf::header::ET_DYN;
use goblin::elf::section_header::{SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_PROGBITS};
use goblin::elf::sym::{STT_FILE, STT_FUNC};

use super::*;
use crate::device::sim::test_objects::{cxx, cxx_bytes};

const PROGRAM: &str = r#"
    __attribute__((noinline)) static long plain(long value) { return value * 3 + 1; }
    __attribute__((noinline)) long shown(long value) { return plain(value) - 7; }
    extern "C" {
    long work(long value) { if (value < 0) throw 1; return shown(value); }
    void *const places[] = {(void *)&plain, (void *)&shown, (void *)&work};
    long place(long which) { return (long)places[which]; }
    }"#;

/// The functions in `places`, and whether they are global.
const PLACES: [(&str, bool); 3] = [("_ZL5plainl", false), ("_Z5shownl", true), ("work", true)];

/// Where the program is said to be loaded.
const BIAS: u64 = 0x7f12_3456_7000;

fn planned(image: &[u8]) -> Plan<'_> {
    plan(image, Machine::native(), &PlanLimits::default()).unwrap()
}

/// Distances of the functions in `places` from `work`, by the system's loader.
fn distances() -> Vec<(&'static str, bool, u64)> {
    let program = cxx("listing", PROGRAM, &[]);
    let place = |which| program.call("place", which);
    let work = place(2);
    let row = |(index, (name, is_global))| {
        (name, is_global, place(index).wrapping_sub(work).cast_unsigned())
    };
    (0..).zip(PLACES).map(row).collect()
}

/// The code of a test, as the executor announces it.
fn announced<'a>(plan: &'a Plan<'a>, id: i64, base: u64) -> LoadedCode<'a> {
    let id = CallableId::new(id).unwrap();
    let bias = base.wrapping_sub(plan.start());
    LoadedCode { range: LoadedRange { id, generation: 4, base, span: plan.span(), bias }, plan }
}

#[test]
fn the_object_for_gdb_has_every_function_at_its_address() {
    let image = cxx_bytes("listing", PROGRAM);
    let plan = planned(&image);
    let object = object::build("vector_add", &plan, BIAS, &functions::listed(&plan, BIAS));
    let elf = Elf::parse(&object).unwrap();
    assert_eq!((elf.header.e_type, elf.header.e_machine), (ET_DYN, plan.machine().elf_number()));
    let work = BIAS + plan.exported_function(b"work").unwrap().vaddr;
    let symbol = |name: &str| {
        let mut found =
            elf.syms.iter().filter(|each| elf.strtab.get_at(each.st_name) == Some(name));
        let symbol = found.next().unwrap_or_else(|| panic!("{name} is missing"));
        assert!(found.next().is_none(), "{name} is there once");
        symbol
    };
    for (name, is_global, distance) in distances() {
        let symbol = symbol(name);
        assert_eq!(symbol.st_value, work.wrapping_add(distance), "{name}");
        assert_eq!((symbol.st_type(), symbol.st_bind() == 1), (STT_FUNC, is_global), "{name}");
        assert!(symbol.st_size > 0);
        let section = &elf.section_headers[symbol.st_shndx];
        assert_eq!(elf.shdr_strtab.get_at(section.sh_name), Some(".text"));
        assert_eq!(section.sh_type, SHT_NOBITS);
        assert_eq!(section.sh_flags, u64::from(SHF_ALLOC | SHF_EXECINSTR));
        let end = section.sh_addr + section.sh_size;
        assert!(section.sh_addr <= symbol.st_value && symbol.st_value + symbol.st_size <= end);
    }
    let file = symbol("vector_add");
    assert_eq!((file.st_type(), file.st_value), (STT_FILE, 0));
    // Local symbols come first, and the header says how many they are.
    let table = elf.section_headers.iter().find(|each| each.sh_type == 2).unwrap();
    let locals = elf.syms.iter().take_while(|each| each.st_bind() == 0).count();
    assert_eq!(u32::try_from(locals), Ok(table.sh_info));
    assert!(elf.syms.iter().skip(locals).all(|each| each.st_bind() == 1));
}

#[test]
fn the_object_for_gdb_has_the_unwind_tables_of_the_image() {
    let image = cxx_bytes("listing", PROGRAM);
    let plan = planned(&image);
    let object = object::build("vector_add", &plan, BIAS, &[]);
    let table = |bytes: &[u8]| {
        let elf = Elf::parse(bytes).unwrap();
        let named = |name: u32| elf.shdr_strtab.get_at(name as usize) == Some(".eh_frame");
        let mut all = elf.section_headers.iter();
        let section =
            all.find(|each| u32::try_from(each.sh_name).is_ok_and(named)).unwrap().clone();
        let range = section.file_range().unwrap();
        (section.sh_addr, section.sh_type, bytes[range].to_vec())
    };
    let (address, kind, bytes) = table(&object);
    let (vaddr, _, expected) = table(&image);
    assert_eq!((address, kind, bytes), (BIAS + vaddr, SHT_PROGBITS, expected));
}

#[test]
fn functions_are_ascending_once_each_and_never_without_an_end() {
    let source = "extern \"C\" { long same(long v) { return v; } \
                  __attribute__((alias(\"same\"))) long other(long); \
                  __attribute__((alias(\"same\"), used)) static long a_local_name(long); \
                  long next(long v) { return v + 1; } }\n\
                  asm(\".text\\n.globl bare\\n.type bare,@function\\nbare: nop\\nnop\\n\");";
    let image = cxx_bytes("aliases", source);
    let plan = planned(&image);
    let listed = functions::listed(&plan, BIAS);
    assert!(listed.is_sorted_by(|a, b| a.address < b.address), "{listed:?}");
    assert!(listed.iter().all(|each| each.bytes > 0), "{listed:?}");
    let named = |name: &str| listed.iter().find(|each| each.name == name.as_bytes());
    assert!(named("same").is_some() != named("other").is_some(), "{listed:?}");
    assert_eq!(named("a_local_name"), None, "a global name is kept");
    assert!(plan.functions().any(|each| each.name == b"a_local_name"));
    let bare = named("bare").unwrap();
    let behind = listed.iter().map(|each| each.address).find(|each| *each > bare.address);
    assert_eq!(behind, Some(bare.address + bare.bytes));
}

#[test]
fn the_map_for_perf_gets_a_line_for_each_function() {
    let folder = tempfile::tempdir().unwrap();
    let image = cxx_bytes("listing", PROGRAM);
    let plan = planned(&image);
    let listing = CodeListing { gdb: false, perf_map: Some(folder.path().to_owned()) };
    let lister = CodeLister::open(&listing).unwrap().unwrap();
    let id = CallableId::new(3).unwrap();
    lister.name(id, 4, "vector\nadd");
    let base = BIAS;
    lister.loaded(&announced(&plan, 3, base));
    lister.forget(id, 4);
    lister.loaded(&announced(&plan, 3, base + 0x10_0000));

    let path = folder.path().join(format!("perf-{}.map", std::process::id()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.splitn(3, ' ').collect()).collect();
    let find = |name: &str| {
        let line = lines.iter().find(|line| line[2] == name).unwrap_or_else(|| panic!("{text}"));
        [line[0], line[1]].map(|digits| u64::from_str_radix(digits, 16).unwrap())
    };
    let bias = base - plan.start();
    let work = bias + plan.exported_function(b"work").unwrap().vaddr;
    for (name, _, distance) in distances() {
        let [address, bytes] = find(&format!("{name} [vector?add]"));
        assert_eq!(address, work.wrapping_add(distance), "{name}");
        assert!(bytes > 0);
        assert_eq!(find(&format!("{name} [callable_3]")), [address + 0x10_0000, bytes]);
    }
}

#[test]
fn a_map_that_is_not_an_ordinary_file_of_this_user_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("perf-{}.map", std::process::id()));
    let open = || PerfMap::open(folder.path()).map(|_| ());
    let target = folder.path().join("target");
    fs::write(&target, "kept").unwrap();
    symlink(&target, &path).unwrap();
    assert!(matches!(open(), Err(PerfMapError::Open { .. })));
    fs::remove_file(&path).unwrap();
    fs::hard_link(&target, &path).unwrap();
    assert!(matches!(open(), Err(PerfMapError::Foreign { .. })));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(), Err(PerfMapError::Open { .. })));
    fs::remove_dir(&path).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
    // One that is there already is continued.
    fs::write(&path, "1 2 three\n").unwrap();
    let image = cxx_bytes("listing", PROGRAM);
    let plan = planned(&image);
    PerfMap::open(folder.path()).unwrap().append("c", &functions::listed(&plan, BIAS)[..1]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("1 2 three\n") && text.lines().count() == 2, "{text}");
    let nowhere = PerfMap::open(&folder.path().join("nowhere")).unwrap_err();
    assert!(nowhere.to_string().ends_with("name a folder that can be written"), "{nowhere}");
}

#[test]
fn nothing_is_listed_unless_it_is_asked_for() {
    assert!(CodeLister::open(&CodeListing::default()).unwrap().is_none());
}

#[test]
fn code_is_on_the_list_of_gdb_until_it_goes() {
    let image = cxx_bytes("listing", PROGRAM);
    let plan = planned(&image);
    let lister = CodeLister::open(&CodeListing { gdb: true, perf_map: None }).unwrap().unwrap();
    let [first, second] = [announced(&plan, 3, BIAS), announced(&plan, 5, BIAS + 0x10_0000)];
    let count = || lister.listed_for_gdb();
    lister.loaded(&first);
    lister.loaded(&second);
    assert_eq!(count(), 2);
    lister.unloading(&first.range);
    lister.unloading(&first.range);
    assert_eq!(count(), 1);
    assert!(lister.state().registrations.contains_key(&second.range.base));
}
