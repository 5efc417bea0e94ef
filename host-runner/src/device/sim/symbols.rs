//! Names that an orchestration may import: those of the C and C++ run time of this process.
//!
//! The orchestration is loaded by the executor's own loader, which asks here. Each library is
//! opened once for the process and stays open. `libstdc++` may be absent on a machine that only
//! runs C: then its names are simply not offered.

use std::ffi::c_void;
use std::sync::OnceLock;

use aicpu_executor::loader::SymbolResolver;
use libloading::os::unix::Library;

/// Libraries whose symbols are offered, in the order in which they are asked.
const LIBRARIES: [&str; 5] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    #[cfg(target_arch = "x86_64")]
    "ld-linux-x86-64.so.2",
    #[cfg(target_arch = "aarch64")]
    "ld-linux-aarch64.so.1",
];

/// Longest name that is looked up, in bytes.
const NAME_BYTES_MAX: usize = 4096;

/// Offers the symbols of the resident libraries.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResidentSymbols;

impl ResidentSymbols {
    /// Address of `name` in the first library that defines it.
    pub fn address(name: &[u8]) -> Option<*mut c_void> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(&0) {
            return None;
        }
        libraries().iter().find_map(|library| {
            // SAFETY: only the address of the symbol is used.
            let symbol = unsafe { library.get::<*const c_void>(name) }.ok()?;
            let address = symbol.into_raw();
            (!address.is_null()).then_some(address)
        })
    }
}

impl SymbolResolver for ResidentSymbols {
    fn resolve(&self, name: &[u8]) -> Option<u64> {
        // CAST: usize is 64 bits on the supported targets. Exposed: code calls it by number.
        Self::address(name).map(|address| address.expose_provenance() as u64)
    }
}

fn libraries() -> &'static [Library] {
    static OPEN: OnceLock<Vec<Library>> = OnceLock::new();
    OPEN.get_or_init(|| {
        let open = |name: &&str| {
            // SAFETY: libraries of the system, whose constructors any C++ program runs.
            let opened = unsafe { Library::open(Some(*name), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
            opened.inspect_err(|error| tracing::debug!(library = name, %error, "not there")).ok()
        };
        LIBRARIES.iter().filter_map(open).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_run_time_are_found_and_stay_the_same() {
        for name in ["memcpy", "sqrtf", "_Unwind_Resume", "__cxa_throw", "_Znwm"] {
            let first = ResidentSymbols.resolve(name.as_bytes());
            assert!(first.is_some_and(|address| address != 0), "{name}");
            assert_eq!(first, ResidentSymbols.resolve(name.as_bytes()));
        }
    }

    #[test]
    fn names_that_nobody_has_are_not_offered() {
        for name in [&b"no_library_has_this"[..], b"", b"mem\0cpy", &[b'a'; 5000]] {
            assert_eq!(ResidentSymbols.resolve(name), None);
        }
    }
}
