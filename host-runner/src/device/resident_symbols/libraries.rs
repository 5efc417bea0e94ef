//! The libraries of the C and C++ run time in this process, and their symbols.
//!
//! Two steps on purpose. [`make_resident`] names the libraries to the system's loader, which
//! searches its folders. [`ResidentLibraries`] then takes what is in the process, by the path that
//! the loader says it is loaded from, and searches nothing.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::replaceable::is_replaceable;

/// The libraries, in the order in which they are asked: those that define most of what
/// orchestrations import come first.
const SONAMES: [&CStr; 8] = [
    c"libc.so.6",
    c"libstdc++.so.6",
    c"libm.so.6",
    c"libgcc_s.so.1",
    #[cfg(target_arch = "x86_64")]
    c"ld-linux-x86-64.so.2",
    #[cfg(target_arch = "aarch64")]
    c"ld-linux-aarch64.so.1",
    // Parts of libc.so.6 since glibc 2.34; before, libraries of their own.
    c"libpthread.so.0",
    c"libdl.so.2",
    c"librt.so.1",
];

/// Longest name or version that is looked up, in bytes; the longest that the loader accepts.
const NAME_BYTES_MAX: usize = 4096;

/// Asks the system's loader for each library; those that it does not find are left out.
pub(super) fn make_resident() {
    for soname in SONAMES {
        if open(soname, libc::RTLD_NOW).is_none() {
            tracing::debug!(library = ?soname, "not on this machine; its symbols are not offered");
        }
    }
}

/// The libraries of the list that are in the process. They stay in it.
#[derive(Debug)]
pub(super) struct ResidentLibraries {
    list: Vec<Handle>,
}

/// A library of the system's loader that is never closed.
#[derive(Debug, Clone, Copy)]
struct Handle(NonNull<c_void>);

// SAFETY: the loader's functions take a handle from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl ResidentLibraries {
    /// Takes the libraries that are there now.
    pub(super) fn find() -> Self {
        let mut loaded = Loaded::new();
        // SAFETY: the callback is called with the pointer given here before this returns, and
        // takes it for what it is.
        unsafe { libc::dl_iterate_phdr(Some(note_object), (&raw mut loaded).cast()) };
        let library = |soname: &&CStr| {
            let path = loaded.get(soname.to_bytes())?;
            // Under its own path an object is found by comparing names: no file is opened.
            open(path, libc::RTLD_LAZY | libc::RTLD_NOLOAD)
        };
        Self { list: SONAMES.iter().filter_map(library).collect() }
    }

    /// Address of a name in the first library that defines it in this version, or in any as its
    /// default one.
    pub(super) fn address(&self, name: &[u8], version: Option<&[u8]>) -> Option<u64> {
        let is_possible = |text: &&[u8]| !text.is_empty() && text.len() <= NAME_BYTES_MAX;
        let replaceable = is_replaceable(name);
        let name = CString::new(Some(name).filter(is_possible)?).ok()?;
        let version = match version {
            Some(version) => Some(CString::new(Some(version).filter(is_possible)?).ok()?),
            None => None,
        };
        let own = self.list.iter().find_map(|library| {
            // Asked together with those that it needs, which are in the list as well.
            let address = symbol(library.0.as_ptr(), &name, version.as_deref())?;
            is_in_an_object(address).then_some(address)
        })?;
        let address = match replaceable {
            // The default name, not a version: a replacement has none.
            true => symbol(libc::RTLD_DEFAULT, &name, None).unwrap_or(own),
            false => own,
        };
        // CAST: usize is 64 bits on the supported targets. Exposed: code calls it by number.
        Some(address.as_ptr().expose_provenance() as u64)
    }
}

/// The paths of what the system's loader has loaded, by file name.
type Loaded = HashMap<Vec<u8>, CString>;

/// Opens a library for good.
fn open(name: &CStr, flags: c_int) -> Option<Handle> {
    // SAFETY: the name ends with NUL. Only libraries of the run time are named, whose constructors
    // any C++ program runs.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags | libc::RTLD_LOCAL) };
    NonNull::new(handle).map(Handle)
}

/// Asks the system's loader for the address of a symbol.
fn symbol(handle: *mut c_void, name: &CStr, version: Option<&CStr>) -> Option<NonNull<c_void>> {
    let address = match version {
        // SAFETY: an open handle, or the one for the whole process; the texts end with NUL.
        Some(version) => unsafe { libc::dlvsym(handle, name.as_ptr(), version.as_ptr()) },
        // SAFETY: as above.
        None => unsafe { libc::dlsym(handle, name.as_ptr()) },
    };
    NonNull::new(address)
}

/// Tells whether this is an address in a library, not in a thread's own block of variables.
fn is_in_an_object(address: NonNull<c_void>) -> bool {
    let mut found = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the place is large enough; the address is only compared.
    unsafe { libc::dladdr(address.as_ptr(), found.as_mut_ptr()) != 0 }
}

/// Notes one loaded object under its file name; called by `dl_iterate_phdr`.
///
/// A library that the loader found by its soname has it as its file name.
unsafe extern "C" fn note_object(
    info: *mut libc::dl_phdr_info,
    _bytes: usize,
    into: *mut c_void,
) -> c_int {
    // SAFETY: the loader calls with a valid record.
    let info = unsafe { &*info };
    // SAFETY: the map that the caller of `dl_iterate_phdr` passed, and lent to nobody else.
    let loaded = unsafe { &mut *into.cast::<Loaded>() };
    if info.dlpi_name.is_null() {
        return 0;
    }
    // SAFETY: not null, so a text that ends with NUL; it is copied at once.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) }.to_owned();
    let file_name = path.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // The loader lists the oldest object first, and that one is meant by a name.
    loaded.entry(file_name.to_vec()).or_insert(path);
    0
}
