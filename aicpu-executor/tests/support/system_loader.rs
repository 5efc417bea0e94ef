//! Images in the hands of the system's dynamic loader.

use std::ffi::{CString, c_char, c_int, c_void};

use super::exports::exports;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlclose(handle: *mut c_void) -> c_int;
}

const RTLD_NOW: c_int = 2;

/// An open library; dropping closes it.
pub struct SystemImage {
    handle: *mut c_void,
    /// What is added to an address as linked.
    pub base: u64,
}

impl SystemImage {
    /// Opens an image through a file that is gone afterwards.
    pub fn open(image: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("library.so");
        std::fs::write(&path, image).expect("the file is written");
        let path = CString::new(path.to_str().expect("a path of text")).expect("a path");
        // SAFETY: a path that ends with NUL; the program was compiled by the test.
        let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
        assert!(!handle.is_null(), "the system's loader refuses the image");
        let mut found = Self { handle, base: 0 };
        let unversioned =
            |name: &[u8]| exports(image).iter().filter(|(n, _)| n == name).count() == 1;
        let all = exports(image);
        let (name, vaddr) = all.iter().find(|(name, _)| unversioned(name)).expect("an export");
        let address = found.address_of(name).expect("the export is found");
        found.base = address - vaddr;
        found
    }

    /// Returns the address of a symbol.
    fn address_of(&self, name: &[u8]) -> Option<u64> {
        let name = CString::new(name).ok()?;
        // SAFETY: an open library and a name that ends with NUL.
        let address = unsafe { dlsym(self.handle, name.as_ptr()) };
        (!address.is_null()).then_some(address.expose_provenance() as u64)
    }

    /// Returns where a symbol is, as linked.
    pub fn offset_of(&self, name: &[u8]) -> Option<u64> {
        self.address_of(name).map(|address| address.wrapping_sub(self.base))
    }

    /// Calls an exported `extern "C" long name(long)`.
    pub fn call_with(&self, name: &str, argument: i64) -> i64 {
        let address = self.address_of(name.as_bytes()).expect("the function is exported");
        let code = std::ptr::with_exposed_provenance::<()>(address as usize);
        // SAFETY: the test's source declares it so.
        let function =
            unsafe { std::mem::transmute::<*const (), unsafe extern "C" fn(i64) -> i64>(code) };
        // SAFETY: as above; the library is open.
        unsafe { function(argument) }
    }
}

impl Drop for SystemImage {
    fn drop(&mut self) {
        // SAFETY: opened above; nothing of it is used afterwards.
        assert_eq!(unsafe { dlclose(self.handle) }, 0);
    }
}
