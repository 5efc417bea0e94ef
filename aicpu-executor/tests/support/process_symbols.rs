//! A resolver over the symbols of the test process, plus those a test adds.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};

use aicpu_executor::loader::{Import, SymbolResolver};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void;
}

/// Offers what `dlsym` and `dlvsym` find, and what was added.
#[derive(Default)]
pub struct ProcessSymbols {
    added: HashMap<Vec<u8>, u64>,
}

impl ProcessSymbols {
    /// Offers `address` under `name`, before anything the process has.
    pub fn with(mut self, name: &str, address: u64) -> Self {
        self.added.insert(name.into(), address);
        self
    }
}

impl SymbolResolver for ProcessSymbols {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        if let Some(address) = self.added.get(import.name) {
            return Some(*address);
        }
        let name = CString::new(import.name).ok()?;
        let address = match import.version {
            // SAFETY: a null handle is RTLD_DEFAULT of glibc; the name ends with NUL.
            None => unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) },
            Some(version) => {
                let version = CString::new(version.name).ok()?;
                // SAFETY: as above, and so does the version.
                unsafe { dlvsym(std::ptr::null_mut(), name.as_ptr(), version.as_ptr()) }
            }
        };
        (!address.is_null()).then_some(address.expose_provenance() as u64)
    }
}

// The test process has to hold the C++ run time that the shared objects count on.
#[link(name = "stdc++")]
unsafe extern "C" {
    fn __cxa_pure_virtual();
}

/// Keeps the linker from dropping the C++ run time.
#[used]
static CXX_RUN_TIME: unsafe extern "C" fn() = __cxa_pure_virtual;
