//! Names that an orchestration may import: those of the C and C++ run time of this process.
//!
//! The orchestration is loaded by the executor's own loader, which asks here. It stands apart from
//! the simulator because it speaks of the process, not of a device.
//!
//! ```text
//!  open() ── once ──▶ the system's loader makes a fixed list of libraries resident
//!                     │
//!  resolve() ──▶ KnownNames: a table in memory, read without lock or system call
//!                     │ name seen for the first time
//!                     ▼
//!                     ResidentLibraries: dlvsym over the resident ones; nothing is searched for
//! ```
//!
//! # Rules
//!
//! - An import with a version gets exactly that version; one without gets the default one. The
//!   library that the image saw it in does not matter: glibc moved `pthread_create` from one
//!   library to another, and its version stayed.
//! - Indirect functions such as `memcpy` give the address of the variant for this processor.
//! - Thread-local variables such as `errno`, whose address depends on the asking thread, are not
//!   offered.
//! - Definitions elsewhere in the process do not count, with one exception: what a process may
//!   replace as a whole, `malloc` and `operator new` with their kin, is the replacement, so that
//!   memory which the C library allocates can be freed by the orchestration.
//! - An orchestration replaces nothing: its names are offered to nobody.

use std::ffi::c_void;
use std::sync::OnceLock;

use aicpu_executor::loader::{Import, SymbolResolver};

mod known_names;
#[expect(unsafe_code, reason = "asks the system's loader for addresses")]
mod libraries;
mod replaceable;

use known_names::KnownNames;
use libraries::ResidentLibraries;

/// Weak imports that the start files of every shared object have, and that no library of the list
/// defines. Asked for at once, so that no image can keep them out of the table.
const ALWAYS_ABSENT: [&[u8]; 3] =
    [b"__gmon_start__", b"_ITM_deregisterTMCloneTable", b"_ITM_registerTMCloneTable"];

/// Offers the symbols of the resident libraries.
#[derive(Debug)]
pub struct ResidentSymbols {
    libraries: ResidentLibraries,
    known: KnownNames,
}

impl ResidentSymbols {
    /// Makes the C and C++ run time resident, and returns what offers its symbols.
    ///
    /// The first call asks the system's loader for the libraries, which searches its folders for
    /// them and runs their constructors; they stay for the life of the process. Where one is
    /// absent, as libstdc++ on a machine that only runs C, its names are not offered. Later calls
    /// cost nothing.
    pub fn open() -> &'static Self {
        static OF_PROCESS: OnceLock<ResidentSymbols> = OnceLock::new();
        OF_PROCESS.get_or_init(|| {
            libraries::make_resident();
            let symbols =
                Self { libraries: ResidentLibraries::find(), known: KnownNames::default() };
            for name in ALWAYS_ABSENT {
                symbols.resolve(&Import { name, weak: true, version: None });
            }
            symbols
        })
    }

    /// Address of the default version of `name`.
    pub fn address(&self, name: &[u8]) -> Option<*mut c_void> {
        let address = self.resolve(&Import { name, weak: false, version: None })?;
        // CAST: usize is 64 bits on the supported targets.
        Some(std::ptr::with_exposed_provenance_mut(address as usize))
    }
}

impl SymbolResolver for ResidentSymbols {
    /// Returns the address; about 15 ns for a name that was asked for before, and some
    /// microseconds for a new one.
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        let version = import.version.map(|version| version.name);
        match self.known.get(import.name, version) {
            Some(answer) => answer,
            None => {
                let answer = self.libraries.address(import.name, version);
                self.known.insert(import.name, version, answer);
                answer
            }
        }
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "calls what it is offered")]
mod tests;
