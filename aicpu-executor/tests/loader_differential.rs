//! Loads the same programs with the system's dynamic loader and compares every word of memory.
//!
//! Two loads of one image may differ in two ways only: addresses inside it move with the image,
//! and the system's loader writes addresses into the dynamic section.

#[path = "support/support.rs"]
mod support;

use std::ffi::{CString, c_char, c_int, c_void};

use support::Loaded;
use support::compiler::shared_object;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlclose(handle: *mut c_void) -> c_int;
}

const RTLD_NOW: c_int = 2;

const PROGRAM: &str = r#"
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

/// Returns the word at an offset of the image that is loaded at `base`.
fn loaded_word(base: usize, offset: usize) -> u64 {
    let from = std::ptr::with_exposed_provenance::<u64>(base + offset);
    // SAFETY: the caller names words of readable segments of a library that stays open.
    unsafe { from.read_unaligned() }
}

#[test]
fn memory_equals_that_of_the_system_loader() {
    let ways: [&[&str]; 5] = [
        &["-Wl,-z,now"],
        &["-Wl,-z,now", "-Wl,--hash-style=sysv"],
        &["-Wl,-z,now", "-Wl,-z,pack-relative-relocs"],
        &["-Wl,-z,now", "-fno-gnu-unique", "-fno-plt", "-s"],
        &["-Wl,-z,now", "-Wl,-Bsymbolic", "-Wl,-z,max-page-size=65536"],
    ];
    for flags in ways {
        let image = shared_object(PROGRAM, flags);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("library.so");
        std::fs::write(&path, &image).unwrap();
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a path that ends with NUL; the program was compiled above.
        let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
        assert!(!handle.is_null(), "{flags:?}");
        let loaded = Loaded::new(&image);
        let export = loaded.plan.exported_function(b"entry").unwrap();
        // SAFETY: an open library and a name that ends with NUL.
        let entry = unsafe { dlsym(handle, c"entry".as_ptr()) };
        let system = entry.expose_provenance() - export.vaddr as usize;
        let dynamic = dynamic_range(&image);
        let mut compared = 0;
        for segment in loaded.plan.segments() {
            let words = segment.vaddr.next_multiple_of(8)..segment.end() - 7;
            for vaddr in words.step_by(8).filter(|vaddr| !dynamic.contains(vaddr)) {
                let base = loaded.image.bias() as usize;
                let (ours, theirs) =
                    (loaded_word(base, vaddr as usize), loaded_word(system, vaddr as usize));
                let moved = ours.wrapping_sub(loaded.image.bias());
                let same = ours == theirs || moved == theirs.wrapping_sub(system as u64);
                assert!(same, "{flags:?} {vaddr:#x}: {ours:#x} and {theirs:#x}");
                compared += 1;
            }
        }
        assert!(compared > 1000, "{compared}");
        // 4 + 1 by the constructor, numbers[0], 't' + 3, 'o'.
        assert_eq!(loaded.call_with("entry", 1), 5 + 1 + 119 + 111, "{flags:?}");
        // SAFETY: opened above; nothing of it is used afterwards.
        assert_eq!(unsafe { dlclose(handle) }, 0);
    }
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
