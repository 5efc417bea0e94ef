//! Names that an orchestration may import: those of the libraries of the process that this image was loaded into.
//!
//! This image links no library, but the server on the chip that opens it is a program of C and C++, and
//! orchestrations are compiled against those run times: each of them imports `snprintf`, `operator delete` and
//! the functions by which C++ throws. So the system's loader is asked for them. Its own functions are found
//! without any import: in the list of loaded objects that it keeps for debuggers ([`loaded_objects`]).
//!
//! Where there is no such list, as in a program without a dynamic loader, nothing is offered but what this
//! image brings itself; an orchestration that imports more is refused by name.

use core::ffi::{CStr, c_char, c_void};
use core::ptr::NonNull;

use aicpu_executor::loader::Import;
use spin::Once;

mod loaded_objects;

/// Longest name or version that is asked for, with its NUL. Names of C++ templates are long.
const NAME_BYTES: usize = 1024;
const VERSION_BYTES: usize = 64;

/// `dlsym` of C libraries.
type FindDefault = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;

/// `dlvsym` of C libraries.
type FindVersion = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;

/// `__register_frame` and `__deregister_frame` of the unwinder.
type FrameFunction = unsafe extern "C" fn(*const c_void);

/// The functions of the system's loader.
#[derive(Debug, Clone, Copy)]
struct Finders {
    default: FindDefault,
    version: Option<FindVersion>,
}

/// The functions of the system's loader, looked for once; `None` if there are none.
fn finders() -> Option<Finders> {
    static FOUND: Once<Option<Finders>> = Once::new();
    *FOUND.call_once(|| {
        let function = |name: &[u8]| loaded_objects::function(name);
        let default = function(b"dlsym")?;
        // SAFETY: (both) the functions of these names have these signatures in every C library.
        let default = unsafe { core::mem::transmute::<*const (), FindDefault>(default) };
        let version = function(b"dlvsym")
            // SAFETY: as above.
            .map(|version| unsafe { core::mem::transmute::<*const (), FindVersion>(version) });
        Some(Finders { default, version })
    })
}

/// Finds an import: in its version, if it has one, and by the default one otherwise.
pub(super) fn find(import: &Import<'_>) -> Option<u64> {
    let Finders { default, version } = finders()?;
    let mut name = [0; NAME_BYTES];
    let name = terminated(import.name, &mut name)?;
    // The scope of all that is open to everybody, in the order in which it was opened.
    let everywhere = core::ptr::null_mut();
    let found = match (import.version, version) {
        (Some(wanted), Some(find)) => {
            let mut text = [0; VERSION_BYTES];
            let wanted = terminated(wanted.name, &mut text)?;
            // SAFETY: both texts end with NUL, and the call changes nothing but what the loader says of its
            // last error.
            unsafe { find(everywhere, name.as_ptr(), wanted.as_ptr()) }
        }
        // SAFETY: as above.
        _ => unsafe { default(everywhere, name.as_ptr()) },
    };
    (!found.is_null()).then(|| found.expose_provenance() as u64)
}

/// The address of a function or an object of this name in the libraries of the process.
pub(super) fn address_of(name: &CStr) -> Option<NonNull<c_void>> {
    let Finders { default, .. } = finders()?;
    // SAFETY: the text ends with NUL, and the call changes nothing but what the loader says of its last error.
    NonNull::new(unsafe { default(core::ptr::null_mut(), name.as_ptr()) })
}

/// Tells the process's unwinder of tables at an address, or takes that back; nothing where there is none.
pub(super) fn tell_unwinder(function: &'static [u8], tables: u64) {
    let import = Import { name: function, weak: true, version: None };
    let Some(function) = find(&import) else { return };
    // CAST: both targets have 64-bit addresses.
    let function = core::ptr::with_exposed_provenance::<()>(function as usize);
    // SAFETY: the functions that callers name have this signature.
    let function = unsafe { core::mem::transmute::<*const (), FrameFunction>(function) };
    // CAST: as above.
    let tables = core::ptr::with_exposed_provenance(tables as usize);
    // SAFETY: the tables are those of sealed code, told once and taken back before the code goes away.
    unsafe { function(tables) };
}

/// A text with a NUL behind it; `None` where it is too long or has one within.
fn terminated<'a>(text: &[u8], room: &'a mut [u8]) -> Option<&'a CStr> {
    room.get_mut(..text.len())?.copy_from_slice(text);
    CStr::from_bytes_with_nul(room.get(..=text.len())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &[u8]) -> Option<u64> {
        find(&Import { name, weak: false, version: None })
    }

    #[test]
    fn functions_of_the_c_library_are_found_and_work() {
        let address = found(b"strtol").expect("a function of every C library");
        let pointer = core::ptr::with_exposed_provenance::<()>(address as usize);
        type Function = unsafe extern "C" fn(*const c_char, *mut *mut c_char, i32) -> i64;
        // SAFETY: the signature of that function.
        let function = unsafe { core::mem::transmute::<*const (), Function>(pointer) };
        // SAFETY: a text with its NUL, and nobody wants to know where the number ends.
        let number = unsafe { function(c"-2a".as_ptr(), core::ptr::null_mut(), 16) };
        assert_eq!(number, -42);
    }

    #[test]
    fn what_nobody_has_is_not_found() {
        assert_eq!(found(b"no_such_function_anywhere"), None);
        assert_eq!(found(&[b'x'; NAME_BYTES]), None);
        assert_eq!(found(b"strtol\0"), None);
        assert_eq!(loaded_objects::function(b"no_such_function_anywhere"), None);
    }

    #[test]
    fn texts_are_terminated_where_there_is_room() {
        let mut room = [0xFF_u8; 4];
        room[3] = 0;
        assert_eq!(terminated(b"abc", &mut room), Some(c"abc"));
        assert_eq!(terminated(b"abcd", &mut room), None);
    }
}
