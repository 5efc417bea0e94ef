//! What is offered, in which version, and how fast.

use std::ffi::CStr;

use aicpu_executor::loader::SymbolVersion;

use super::*;

/// The version that the C library of this machine gave its oldest names.
#[cfg(target_arch = "x86_64")]
const OLDEST: &str = "GLIBC_2.2.5";
/// The version that the C library of this machine gave its oldest names.
#[cfg(target_arch = "aarch64")]
const OLDEST: &str = "GLIBC_2.17";

fn resolve(name: &str, version: Option<&str>) -> Option<u64> {
    let version = version.map(|name| SymbolVersion { name: name.as_bytes() });
    let import = Import { name: name.as_bytes(), weak: false, version };
    ResidentSymbols::open().resolve(&import)
}

#[test]
fn names_of_the_run_time_are_found_and_stay_the_same() {
    for name in
        ["memcpy", "sqrtf", "_Unwind_Resume", "__cxa_throw", "_Znwm", "pthread_create", "time"]
    {
        let first = resolve(name, None);
        assert!(first.is_some_and(|address| address != 0), "{name}");
        assert_eq!(first, resolve(name, None));
    }
}

#[test]
fn names_that_nobody_has_are_not_offered() {
    for name in ["no_library_has_this", "", "mem\0cpy", &"a".repeat(5000)] {
        assert_eq!(resolve(name, None), None, "{name:?}");
        assert_eq!(resolve(name, Some(OLDEST)), None, "{name:?}");
    }
}

#[test]
fn a_version_is_met_exactly() {
    let found = |name, version| resolve(name, Some(version)).is_some();
    assert!(found("free", OLDEST));
    assert!(!found("free", "GLIBC_2.1"), "older than the name");
    assert!(!found("free", "GLIBCXX_3.4"), "of another library");
    assert!(!found("free", "GLIBC_9.99"), "not made yet");
    assert!(!found("free", ""));
    assert!(found("_ZNSt13runtime_errorC1EPKc", "GLIBCXX_3.4.21"));
    assert!(found("__cxa_throw", "CXXABI_1.3"));
    assert!(found("_Unwind_Resume", "GCC_3.0"));
}

/// `realpath` was given a second version in glibc 2.3, and kept the first one for old programs.
#[cfg(target_arch = "x86_64")]
#[test]
fn an_old_version_is_another_function_and_no_version_is_the_default_one() {
    let old = resolve("realpath", Some("GLIBC_2.2.5"));
    let new = resolve("realpath", Some("GLIBC_2.3"));
    assert!(old.is_some() && new.is_some() && old != new, "{old:x?} {new:x?}");
    assert_eq!(resolve("realpath", None), new);
}

#[test]
fn an_indirect_function_is_resolved_to_code_that_copies() {
    let address = resolve("memcpy", None).unwrap();
    // The same variant as this program's own calls take.
    let expected = libc::memcpy as *const () as u64;
    assert_eq!(address, expected);
    type Copy = unsafe extern "C" fn(*mut u8, *const u8, usize) -> *mut u8;
    let pointer = ResidentSymbols::open().address(b"memcpy").unwrap();
    // SAFETY: memcpy has this signature.
    let copy = unsafe { std::mem::transmute::<*mut c_void, Copy>(pointer) };
    let mut to = [0_u8; 4];
    // SAFETY: both have four bytes.
    unsafe { copy(to.as_mut_ptr(), b"copy".as_ptr(), 4) };
    assert_eq!(&to, b"copy");
}

#[test]
fn thread_local_variables_and_names_of_versions_are_not_offered() {
    assert_eq!(resolve("errno", None), None);
    assert_eq!(resolve("errno", Some("GLIBC_PRIVATE")), None);
    assert_eq!(resolve(OLDEST, None), None, "an absolute symbol of the library");
    assert!(resolve("__errno_location", None).is_some());
}

/// Runs in a process of its own, because a replacement is for a whole process.
#[test]
fn replaced_allocation_is_the_replacement_and_nothing_else_of_its_library_is_offered() {
    const CHILD: &str = "RESIDENT_SYMBOLS_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let address = resolve("valloc", Some(OLDEST)).unwrap();
        assert_eq!(resolve("valloc", None), Some(address));
        type Allocate = unsafe extern "C" fn(usize) -> usize;
        let pointer = std::ptr::with_exposed_provenance::<()>(address as usize);
        // SAFETY: valloc has this signature.
        let allocate = unsafe { std::mem::transmute::<*const (), Allocate>(pointer) };
        // SAFETY: the replacement only adds.
        assert_eq!(unsafe { allocate(41) }, 42);
        let shown = |name: &CStr| {
            // SAFETY: only whether the process shows the name is asked.
            !unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.is_null()
        };
        assert!(shown(c"of_another_library"));
        assert_eq!(resolve("of_another_library", None), None);
        // It has a `strlen` too, which may not be replaced.
        // SAFETY: as above.
        let own = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"strlen".as_ptr()) };
        assert_ne!(resolve("strlen", None), Some(own.expose_provenance() as u64));
        return;
    }
    let source = "extern \"C\" void *valloc(unsigned long size) { return (void *)(size + 1); }
        extern \"C\" void of_another_library() {}
        extern \"C\" unsigned long strlen(const char *text) {
            unsigned long length = 0;
            while (text[length] != 0) { ++length; asm volatile(\"\"); }
            return length;
        }";
    let library = crate::device::sim::test_objects::cxx_bytes("replacement", source);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replacement.so");
    std::fs::write(&path, library).unwrap();
    let this_test =
        "replaced_allocation_is_the_replacement_and_nothing_else_of_its_library_is_offered";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("device::resident_symbols::tests::{this_test}")])
        .env("LD_PRELOAD", &path)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
}
