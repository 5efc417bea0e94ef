//! What the libraries export.

use std::collections::BTreeSet;
use std::fs;

use goblin::elf::Elf;
use tests::c_library::{HostLibrary, REFERENCE_FUNCTIONS, VARIANTS, path};

/// The names that a library defines for others.
fn exports(name: &str) -> BTreeSet<String> {
    let bytes = fs::read(path(name)).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    let defined = elf.dynsyms.iter().filter(|symbol| !symbol.is_import());
    let names = defined.filter_map(|symbol| elf.dynstrtab.get_at(symbol.st_name));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_variant_has_the_23_functions_of_the_reference() {
    for variant in VARIANTS {
        let library = HostLibrary::open(variant);
        for name in REFERENCE_FUNCTIONS {
            assert!(library.has(name), "{variant}: {name}");
        }
    }
}

#[test]
fn a_library_exports_the_reference_functions_and_names_of_our_own_and_nothing_else() {
    for variant in VARIANTS {
        let mut others = exports(&format!("host_runtime_{variant}"));
        for name in REFERENCE_FUNCTIONS {
            assert!(others.remove(name), "{variant}: {name}");
        }
        assert!(others.len() >= 10, "{variant}: {others:?}");
        assert!(others.iter().all(|it| it.starts_with("simpler_rs_v1_")), "{variant}: {others:?}");
    }
    for (name, prefix) in
        [("simpler_log", "simpler_rs_log_v1_"), ("cpu_sim_context", "simpler_rs_sim_context_v1_")]
    {
        let names = exports(name);
        assert!(!names.is_empty() && names.iter().all(|it| it.starts_with(prefix)), "{names:?}");
    }
}

#[test]
fn the_header_declares_what_is_exported() {
    let folder = tests::sources::repository().join("host-runner/capi/include");
    for (library, header) in [
        ("host_runtime_a2a3_trb", "host_runtime.h"),
        ("simpler_log", "simpler_log.h"),
        ("cpu_sim_context", "cpu_sim_context.h"),
    ] {
        let text = fs::read_to_string(folder.join(header)).unwrap();
        for name in exports(library) {
            assert!(text.contains(&format!("{name}(")), "{header} has no {name}");
        }
    }
}

#[test]
fn a_variant_says_which_it_is_and_how_large_a_run_record_has_to_be() {
    type Number<T> = unsafe extern "C" fn() -> T;
    for (variant, name, bytes) in [
        ("a2a3_trb", "a2a3sim/trb", 22400),
        ("a2a3_hbg", "a2a3sim/hbg", 22400),
        ("a5_trb", "a5sim/trb", 24704),
        ("a5_hbg", "a5sim/hbg", 24704),
    ] {
        let library = HostLibrary::open(variant);
        // SAFETY: their types.
        let (version, capabilities, alignment) = unsafe {
            (
                library.function::<Number<u32>>("simpler_rs_v1_abi_version")(),
                library.function::<Number<u64>>("simpler_rs_v1_capabilities")(),
                library.function::<Number<usize>>("simpler_rs_v1_get_runtime_alignment")(),
            )
        };
        assert_eq!((library.runtime_size(), alignment), (bytes, 64), "{variant}");
        // They run, copy as declared, report and take submissions.
        assert_eq!((version, capabilities), (1, 0b1111), "{variant}");
        type Text = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let mut text = [0xEE; 32];
        // SAFETY: its type; the buffer has the size that is given.
        let needed = unsafe {
            let ask: Text = library.function("simpler_rs_v1_variant");
            // A buffer that is too small is filled and ended, and told the size of all.
            assert_eq!(ask(text.as_mut_ptr(), 4), name.len() + 1);
            assert_eq!((&text[..3], text[3], text[4]), (&name.as_bytes()[..3], 0, 0xEE));
            ask(text.as_mut_ptr(), text.len())
        };
        assert_eq!(&text[..needed], format!("{name}\0").as_bytes());
    }
}
