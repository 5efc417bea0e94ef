//! Loads the same programs with the system's dynamic loader and compares every export and every
//! word of memory.
//!
//! Two loads of one image may differ in two ways only: addresses inside it move with the image,
//! and the system's loader writes addresses into the dynamic section.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::Protection;
use support::compiler::try_shared_object;
use support::exports::exports;
use support::system_loader::SystemImage;
use support::{Loaded, plan_native};

/// Virtual bases, pointers of every kind, packed structures, constructors.
const OBJECTS: &str = r#"
    #include <cstdio>
    #include <cstdlib>
    #include <new>
    struct Base { virtual ~Base() {} virtual long work(long) = 0; };
    struct One : Base { long work(long v) override { return v + 1; } };
    struct Two : virtual Base { long work(long v) override { return v + 2; } };
    struct Three : Two, One { long work(long v) override { return v + 3; } };
    extern "C" __attribute__((weak)) void nobody_has_this();
    long numbers[1000] = {1, 2, 3};
    long *inside[] = {&numbers[2], numbers, &numbers[1000], &numbers[-1]};
    void *outside[] = {(void *)&printf, (void *)&malloc, (void *)&nobody_has_this, &stderr};
    static const char *const names[] = {"one", "two", "three"};
    struct __attribute__((packed)) { char c; const char *text; } odd = {1, "odd"};
    static One one; static Three three;
    static Base *objects[] = {&one, static_cast<One *>(&three)};
    static long started;
    __attribute__((constructor)) static void start() { started = objects[0]->work(4); }
    extern "C" long entry(long which) {
        if (which < 0) throw std::bad_alloc();
        return started + *inside[which] + objects[which]->work(names[which][0]) + odd.text[0];
    }
"#;

/// 4 + 1 by the constructor, numbers[0], 't' + 3, 'o'.
const OBJECTS_ENTRY: i64 = 5 + 1 + 119 + 111;

/// Exceptions of its own and of the library, thrown and caught; clean-ups on the way.
const EXCEPTIONS: &str = r#"
    #include <stdexcept>
    struct Own { long value; virtual ~Own() {} };
    struct Derived : Own { Derived(long v) { value = v; } };
    static long cleaned;
    struct Guard { ~Guard() { cleaned += 10; } };
    static void fail(long which) {
        Guard guard;
        if (which == 1) throw Derived(5);
        if (which == 2) throw std::out_of_range("far");
    }
    extern "C" long entry(long which) {
        long sum = 0;
        for (long each = 1; each <= which + 1; each++) {
            try { fail(each); }
            catch (const Own &own) { sum += own.value; }
            catch (const std::logic_error &error) { sum += error.what()[0]; }
        }
        return sum + cleaned;
    }
"#;

/// 5 of the first, 'f' of the second, two clean-ups.
const EXCEPTIONS_ENTRY: i64 = 5 + 102 + 20;

/// Much zeroed memory, and pointers into and behind it.
const LARGE_BSS: &str = r#"
    long zeros[1000000];
    long *middle = &zeros[500000], *last = &zeros[999999], *end = &zeros[1000000];
    static long more[70000];
    extern "C" long entry(long which) {
        *middle += which; more[69999] += 3;
        return *middle + *last + (end - zeros) + more[69999];
    }
"#;

/// A second writable segment, far behind the first, and pointers both ways.
const FAR_DATA: &str = r#"
    extern long *near_pointer;
    __attribute__((section(".far"))) long far_numbers[2000] = {7, 8};
    __attribute__((section(".far"))) long **far_pointer = &near_pointer;
    long *near_pointer = &far_numbers[1];
    extern "C" long entry(long which) { return **far_pointer + far_numbers[0] + which; }
"#;

/// Two versions of the same names, the later one the default.
const VERSIONED: &str = r#"
    extern "C" long old_entry(long v) { return v; }
    extern "C" long new_entry(long v) { return v + 40; }
    __asm__(".symver old_entry, entry@FIRST");
    __asm__(".symver new_entry, entry@@SECOND");
    long data = 4;
    long *data_pointer = &data;
"#;
const VERSIONS: &str =
    "FIRST { global: entry; local: *; }; SECOND { global: entry; data; data_pointer; } FIRST;";

/// A program, how it is linked, and what `entry(1)` returns.
type Shape = (&'static str, &'static str, &'static [&'static str], i64);

const SHAPES: &[Shape] = &[
    ("GNU hash", OBJECTS, &["-Wl,--hash-style=gnu"], OBJECTS_ENTRY),
    ("System V hash", OBJECTS, &["-Wl,--hash-style=sysv"], OBJECTS_ENTRY),
    ("both hashes", OBJECTS, &["-Wl,--hash-style=both"], OBJECTS_ENTRY),
    ("packed relocations", OBJECTS, &["-Wl,-z,pack-relative-relocs"], OBJECTS_ENTRY),
    ("no PLT, stripped", OBJECTS, &["-fno-plt", "-s"], OBJECTS_ENTRY),
    ("bound to itself", OBJECTS, &["-Wl,-Bsymbolic"], OBJECTS_ENTRY),
    ("64 KiB pages", OBJECTS, &["-Wl,-z,max-page-size=65536"], OBJECTS_ENTRY),
    ("code apart", OBJECTS, &["-Wl,-z,separate-code"], OBJECTS_ENTRY),
    ("code with headers", OBJECTS, &["-Wl,-z,noseparate-code"], OBJECTS_ENTRY),
    ("without RELRO", OBJECTS, &["-Wl,-z,norelro"], OBJECTS_ENTRY),
    ("sections on their own", OBJECTS, &["-ffunction-sections", "-fdata-sections"], OBJECTS_ENTRY),
    ("optimised, all inline", OBJECTS, &["-O3"], OBJECTS_ENTRY),
    ("not optimised", OBJECTS, &["-O0"], OBJECTS_ENTRY),
    ("gold", OBJECTS, &["-fuse-ld=gold"], OBJECTS_ENTRY),
    ("lld", OBJECTS, &["-fuse-ld=lld"], OBJECTS_ENTRY),
    ("exceptions", EXCEPTIONS, &[], EXCEPTIONS_ENTRY),
    ("exceptions, packed", EXCEPTIONS, &["-Wl,-z,pack-relative-relocs", "-O3"], EXCEPTIONS_ENTRY),
    ("large .bss", LARGE_BSS, &[], 1 + 1_000_000 + 3),
    ("two writable segments", FAR_DATA, &["-Wl,--section-start=.far=0x400000"], 8 + 7 + 1),
];

/// Flags of every shape: bound at once, and no symbols that are one in the whole process.
const COMMON: &[&str] = &["-Wl,-z,now", "-fno-gnu-unique"];

/// Loads an image both ways and compares what came of it.
fn compare(name: &str, image: &[u8], entry: i64) {
    let system = SystemImage::open(image);
    let loaded = Loaded::new(image);
    let mut exported = 0;
    for (symbol, _) in exports(image) {
        let export = loaded.plan.export(&symbol).map(|each| each.vaddr);
        let shown = symbol.escape_ascii();
        assert_eq!(export, system.offset_of(&symbol), "{name}: {shown}");
        exported += 1;
    }
    assert!(exported > 0, "{name} exports nothing");
    let dynamic = dynamic_range(image);
    let bases = (loaded.image.bias(), system.base);
    let mut compared = 0;
    for segment in loaded.plan.segments() {
        for vaddr in (segment.vaddr..segment.end()).filter(|vaddr| !dynamic.contains(vaddr)) {
            let (ours, theirs) = (byte(bases.0 + vaddr), byte(bases.1 + vaddr));
            let first = vaddr.saturating_sub(7).max(segment.vaddr);
            let last = vaddr.min(segment.end() - 8);
            let same = ours == theirs || (first..=last).any(|start| is_moved(bases, start));
            assert!(same, "{name} {vaddr:#x}: {ours:#x} and {theirs:#x}");
            compared += 1;
        }
    }
    assert!(compared > 1000, "{name}: {compared}");
    assert_eq!(loaded.call_with("entry", 1), entry, "{name}");
    assert_eq!(system.call_with("entry", 1), entry, "{name}");
}

/// Returns a byte of one of the two images.
fn byte(address: u64) -> u8 {
    let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: `compare` names bytes of readable segments of images that stay.
    unsafe { from.read() }
}

/// Tells whether both images have at `vaddr`, aligned or not, an address inside themselves that
/// differs by their distance only.
fn is_moved(bases: (u64, u64), vaddr: u64) -> bool {
    let word =
        |base: u64| u64::from_le_bytes(std::array::from_fn(|at| byte(base + vaddr + at as u64)));
    word(bases.0).wrapping_sub(bases.0) == word(bases.1).wrapping_sub(bases.1)
}

#[test]
fn memory_and_exports_equal_those_of_the_system_loader() {
    for (name, source, flags, entry) in SHAPES {
        match try_shared_object(source, &[COMMON, flags].concat()) {
            Ok(image) => compare(name, &image, *entry),
            // The other linkers need not be installed.
            Err(text) if name.contains("gold") || name.contains("lld") => {
                println!("skipped: {name}: {}", text.lines().next().unwrap_or_default());
            }
            Err(text) => panic!("{name}: {text}"),
        }
    }
}

#[test]
fn the_default_version_is_exported_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("versions.map");
    std::fs::write(&script, VERSIONS).unwrap();
    let script = format!("-Wl,--version-script={}", script.display());
    let image = try_shared_object(VERSIONED, &[COMMON, &[&script]].concat()).unwrap();
    compare("versions", &image, 41);
    // Both are in the table; the older one is hidden.
    let names: Vec<_> = exports(&image).into_iter().filter(|(name, _)| name == b"entry").collect();
    assert_eq!(names.len(), 2);
}

#[test]
fn shapes_are_what_they_are_called() {
    let planned = |name: &str| {
        let (_, source, flags, _) = SHAPES.iter().find(|shape| shape.0 == name).unwrap();
        try_shared_object(source, &[COMMON, flags].concat()).unwrap()
    };
    let writable = |image: &[u8]| {
        let plan = plan_native(image);
        let is_writable = |right: Protection| right.contains(Protection::WRITE);
        plan.segments().iter().filter(|each| is_writable(each.protection)).count()
    };
    assert_eq!(writable(&planned("two writable segments")), 2);
    assert!(plan_native(&planned("large .bss")).span() > 8_000_000);
    assert_eq!(plan_native(&planned("64 KiB pages")).align(), 65536);
    let segments = |name: &str| plan_native(&planned(name)).segments().len();
    assert!(segments("code apart") > segments("code with headers"));
}

/// Returns the addresses of the dynamic section.
fn dynamic_range(image: &[u8]) -> std::ops::Range<u64> {
    let word =
        |place: usize| u64::from_le_bytes(image[place..place + 8].try_into().expect("8 bytes"));
    let table = word(32) as usize;
    let place = (0..usize::from(image[56]))
        .map(|index| table + 56 * index)
        .find(|place| image[*place..*place + 4] == [2, 0, 0, 0])
        .expect("a shared object has a dynamic section");
    word(place + 16)..word(place + 16) + word(place + 40)
}
