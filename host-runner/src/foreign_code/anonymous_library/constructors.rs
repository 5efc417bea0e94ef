//! Runs the constructors of a shared object apart from the loader that opens it.
//!
//! The system's loader holds its lock while constructors run, and cannot let an exception pass: one
//! that leaves a static object's constructor would end the process. So the loader gets a copy of
//! the image that names no constructors, and they are called here, where exceptions are caught.
//!
//! ```text
//! image ──detach──▶ image without constructors ──dlopen──▶ base address ──run──▶ all called
//!            └───────────── where they are ──────────────────────────────┘
//! ```

use std::ffi::{c_char, c_int, c_void};

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::dynamic::{DT_DEBUG, DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ};
use goblin::elf::program_header::PT_DYNAMIC;
use goblin::elf::{Elf, ProgramHeader};
use libloading::os::unix::Library;

use crate::foreign_code::guarded_call::guarded;

/// Bytes of an entry of the dynamic section: its tag, its value.
const ENTRY_BYTES: usize = 16;

/// Where the constructors of an image are, as addresses relative to where it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Constructors {
    /// The function that comes first.
    first: Option<u64>,
    /// A list of addresses of functions.
    list: u64,
    list_bytes: u64,
}

/// What a constructor is called with: the arguments of the program, of which it gets none.
type Constructor = unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char);

/// Takes the constructors out of an image. What cannot be read has none; the loader refuses it.
pub(super) fn detach(image: &mut [u8]) -> Constructors {
    let mut found = Constructors::default();
    for entry in dynamic_section(image).chunks_exact_mut(ENTRY_BYTES) {
        let (tag, value) = entry.split_at_mut(ENTRY_BYTES / 2);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let address = number(value);
        match number(tag) {
            DT_INIT => {
                found.first = Some(address);
                // A tag without meaning in a shared object.
                tag.copy_from_slice(&DT_DEBUG.to_le_bytes());
            }
            DT_INIT_ARRAY => found.list = address,
            DT_INIT_ARRAYSZ => {
                found.list_bytes = address;
                value.fill(0);
            }
            _ => {}
        }
    }
    found
}

/// The dynamic section of an image; empty if there is none. Nothing else of the image is read.
fn dynamic_section(image: &mut [u8]) -> &mut [u8] {
    let range = Elf::parse_header(image).ok().and_then(|header| {
        let context = Ctx::new(Container::Big, Endian::Little);
        let table = usize::try_from(header.e_phoff).ok()?;
        let headers = ProgramHeader::parse(image, table, header.e_phnum.into(), context).ok()?;
        let header = headers.iter().find(|header| header.p_type == PT_DYNAMIC)?;
        let start = usize::try_from(header.p_offset).ok()?;
        Some(start..start.checked_add(usize::try_from(header.p_filesz).ok()?)?)
    });
    range.and_then(|range| image.get_mut(range)).unwrap_or_default()
}

impl Constructors {
    /// Calls them in their order, up to the first one that throws.
    ///
    /// # Errors
    ///
    /// Type and `what()` of the exception.
    ///
    /// # Safety
    ///
    /// They were detached from the image that `library` was opened from, the user wants them to
    /// run, and they have not run.
    pub(super) unsafe fn run(self, library: Library) -> Result<Library, String> {
        let handle = library.into_raw();
        // SAFETY: from the line above, and used no more.
        let library = unsafe { Library::from_raw(handle) };
        // SAFETY: a live handle.
        let base = unsafe { load_address(handle) };
        let base = base.ok_or("the loader does not say where it is")?;
        let at = |offset: u64| usize::try_from(base.wrapping_add(offset)).unwrap_or_default();
        // CAST: usize is 64 bits on the supported targets.
        let count = self.list_bytes as usize / size_of::<usize>();
        let list = core::ptr::with_exposed_provenance::<usize>(at(self.list));
        // SAFETY: the image says that the list is there, and the loader has relocated it.
        let listed = (0..count).map(|index| unsafe { list.add(index).read_unaligned() });
        for address in self.first.map(at).into_iter().chain(listed) {
            // Some linkers fill up the list with these.
            if address == 0 || address == usize::MAX {
                continue;
            }
            let function = core::ptr::with_exposed_provenance::<c_void>(address);
            // SAFETY: a function of the image with this signature (System V ABI, dynamic section).
            let function = unsafe { core::mem::transmute::<*const c_void, Constructor>(function) };
            // SAFETY: the caller's promise.
            guarded(|| unsafe { function(0, std::ptr::null(), std::ptr::null()) })?;
        }
        Ok(library)
    }
}

/// The start of what the C library says of an object.
#[repr(C)]
struct LinkMap {
    load_address: usize,
}

/// Where an object is loaded.
///
/// # Safety
///
/// `handle` is a live handle of the system's loader.
unsafe fn load_address(handle: *mut c_void) -> Option<u64> {
    let mut map: *const LinkMap = std::ptr::null();
    // SAFETY: a live handle, and room for the pointer that this request asks for.
    let code = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
    if code != 0 || map.is_null() {
        return None;
    }
    // SAFETY: the loader's record of the object, which lives as long as the handle. CAST: usize is
    // at most 64 bits.
    Some(unsafe { (*map).load_address } as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sim::test_objects::cxx_bytes;

    #[test]
    fn an_image_without_constructors_is_otherwise_the_same() {
        let mut image = cxx_bytes("plain", "int value = 1; static int copy = ++value;");
        let before = image.clone();
        let found = detach(&mut image);
        assert!(found.list_bytes >= 8 && found.list != 0, "{found:?}");
        let changed = image.iter().zip(&before).filter(|(new, old)| new != old).count();
        assert!((1..=ENTRY_BYTES).contains(&changed), "{changed}");
        // Nothing is left to take out.
        assert_eq!((detach(&mut image).first, detach(&mut image).list_bytes), (None, 0));
        assert_eq!(image.len(), before.len());
    }

    #[test]
    fn what_is_no_image_has_no_constructors() {
        for bytes in [&b""[..], b"\x7fELF, but nothing else"] {
            let mut image = bytes.to_vec();
            assert_eq!(detach(&mut image), Constructors::default());
            assert_eq!(image, bytes);
        }
    }
}
