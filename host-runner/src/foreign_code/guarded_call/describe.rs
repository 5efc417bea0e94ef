//! Turns a caught exception object into text, and destroys it.
//!
//! For exceptions of the GNU C++ runtime the resident `libstdc++` tells the type
//! (`__cxa_current_exception_type`), demangles its name, and, where the type derives from
//! `std::exception`, `what()` is asked for. Anything else is only named as foreign.
//!
//! `libstdc++` is never loaded for this: an exception of it can only be in flight where it is
//! resident already.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr::NonNull;

use libloading::os::unix::Library;

/// Class of exceptions of the GNU C++ runtime that own their object.
const GNU_CXX_CLASS: u64 = u64::from_be_bytes(*b"GNUCC++\0");
/// Class of those that share it with another one (`std::rethrow_exception`).
const GNU_CXX_DEPENDENT_CLASS: u64 = u64::from_be_bytes(*b"GNUCC++\x01");

/// Bytes of `_Unwind_Exception` on the 64-bit targets; the thrown object stands right behind.
const UNWIND_HEADER_BYTES: usize = 32;
/// Slot of `__do_catch` in the virtual table of `std::type_info` (Itanium C++ ABI, libstdc++).
const DO_CATCH_SLOT: usize = 4;
/// Slot of `what` in the virtual table of `std::exception`, behind its two destructors.
const WHAT_SLOT: usize = 2;
/// Longest text that is taken from `what()`, in bytes.
const WHAT_BYTES_MAX: usize = 1024;

type BeginCatch = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
type EndCatch = unsafe extern "C" fn();
type CurrentType = unsafe extern "C" fn() -> *const TypeInfo;
type Demangle =
    unsafe extern "C" fn(*const c_char, *mut c_char, *mut usize, *mut c_int) -> *mut c_char;
type DoCatch =
    unsafe extern "C" fn(*const TypeInfo, *const TypeInfo, *mut *const c_void, c_uint) -> bool;
type What = unsafe extern "C" fn(*const c_void) -> *const c_char;

unsafe extern "C" {
    fn _Unwind_DeleteException(exception: *mut c_void);
}

/// The fields of `std::type_info` (Itanium C++ ABI §2.9.4).
#[repr(C)]
struct TypeInfo {
    virtual_table: *const *const c_void,
    name: *const c_char,
}

/// Head of `_Unwind_Exception`.
#[repr(C)]
struct UnwindException {
    class: u64,
}

/// Describes the exception and destroys it.
///
/// # Safety
///
/// `exception` is an exception in flight that the caller has caught and does not use afterwards.
pub(super) unsafe fn consume(exception: NonNull<c_void>) -> String {
    // SAFETY: every exception object starts with its class.
    let class = unsafe { exception.cast::<UnwindException>().as_ref() }.class;
    if class == GNU_CXX_CLASS || class == GNU_CXX_DEPENDENT_CLASS {
        if let Some(runtime) = CxxRuntime::resident() {
            // SAFETY: the caller's promise; the class says whose exception it is.
            return unsafe { runtime.consume(exception, class == GNU_CXX_CLASS) };
        }
        // SAFETY: the caller's promise.
        unsafe { _Unwind_DeleteException(exception.as_ptr()) };
        return "a C++ exception of a statically linked runtime".to_owned();
    }
    // SAFETY: the caller's promise.
    unsafe { _Unwind_DeleteException(exception.as_ptr()) };
    format!("an exception of an unknown language (class {class:#018x})")
}

/// The readable form of a name as the compiler wrote it; as it is where that is no C++ name, or no
/// C++ runtime is resident.
pub fn demangled(name: &str) -> String {
    let readable = std::ffi::CString::new(name).ok().and_then(|mangled| {
        let runtime = CxxRuntime::resident()?;
        runtime.demangle(&mangled)
    });
    readable.unwrap_or_else(|| name.to_owned())
}

/// The functions of `libstdc++` that are needed; the library stays open as long as they do.
struct CxxRuntime {
    library: Library,
    begin_catch: BeginCatch,
    end_catch: EndCatch,
    current_type: CurrentType,
}

impl CxxRuntime {
    /// Finds the C++ runtime that is resident in this process, if there is one.
    fn resident() -> Option<Self> {
        // SAFETY: with RTLD_NOLOAD nothing is loaded and no constructor runs.
        let library =
            unsafe { Library::open(Some("libstdc++.so.6"), libc::RTLD_LAZY | libc::RTLD_NOLOAD) }
                .ok()?;
        // SAFETY: functions of the C++ ABI with these signatures.
        let (begin_catch, end_catch, current_type) = unsafe {
            (
                *library.get::<BeginCatch>(b"__cxa_begin_catch\0").ok()?,
                *library.get::<EndCatch>(b"__cxa_end_catch\0").ok()?,
                *library.get::<CurrentType>(b"__cxa_current_exception_type\0").ok()?,
            )
        };
        Some(Self { library, begin_catch, end_catch, current_type })
    }

    /// Describes and destroys an exception of this runtime.
    ///
    /// # Safety
    ///
    /// As for [`consume`]; `owns_object` only if the thrown object stands behind the header.
    unsafe fn consume(&self, exception: NonNull<c_void>, owns_object: bool) -> String {
        // SAFETY: the exception was caught and is handed to the runtime exactly once.
        unsafe { (self.begin_catch)(exception.as_ptr()) };
        // SAFETY: an exception is being handled now.
        let type_info = unsafe { (self.current_type)() };
        let text = if type_info.is_null() {
            "a C++ exception".to_owned()
        } else {
            // SAFETY: the type information of the object being handled.
            let name = unsafe { self.type_name(type_info) };
            let object =
                owns_object.then(|| exception.as_ptr().wrapping_byte_add(UNWIND_HEADER_BYTES));
            // SAFETY: object and type belong together, and the object is alive until `end_catch`.
            match object.and_then(|object| unsafe { self.what(type_info, object) }) {
                Some(what) => format!("{name}: {what}"),
                None => name,
            }
        };
        // SAFETY: pairs with `begin_catch`; destroys the object.
        unsafe { (self.end_catch)() };
        text
    }

    /// Readable name of a type.
    ///
    /// # Safety
    ///
    /// `type_info` is the type information of a type of a loaded object.
    unsafe fn type_name(&self, type_info: *const TypeInfo) -> String {
        // SAFETY: the caller's promise; the name is a static string.
        let mangled = unsafe { CStr::from_ptr((*type_info).name) };
        // A star marks types whose name is compared by address; it is no part of the name.
        let plain = mangled.to_bytes();
        let skip = usize::from(plain.first() == Some(&b'*'));
        let (name, fallback) =
            (CStr::from_bytes_with_nul(&mangled.to_bytes_with_nul()[skip..]), &plain[skip..]);
        name.ok()
            .and_then(|name| self.demangle(name))
            .unwrap_or_else(|| String::from_utf8_lossy(fallback).into_owned())
    }

    /// Readable form of a mangled name, if it is one.
    fn demangle(&self, mangled: &CStr) -> Option<String> {
        // SAFETY: a function of the C++ ABI with this signature.
        let demangle = unsafe { self.library.get::<Demangle>(b"__cxa_demangle\0") }.ok()?;
        let mut status: c_int = 0;
        // SAFETY: the name is NUL-terminated; with null buffers the result is from malloc.
        let readable = unsafe {
            demangle(
                mangled.as_ptr(),
                core::ptr::null_mut(),
                core::ptr::null_mut(),
                &raw mut status,
            )
        };
        if readable.is_null() {
            return None;
        }
        // SAFETY: a NUL-terminated string from malloc, freed once.
        unsafe {
            let text = CStr::from_ptr(readable).to_string_lossy().into_owned();
            libc::free(readable.cast());
            Some(text)
        }
    }

    /// `what()` of an object whose type derives from `std::exception`.
    ///
    /// # Safety
    ///
    /// `object` is alive and of the type `thrown`.
    unsafe fn what(&self, thrown: *const TypeInfo, object: *const c_void) -> Option<String> {
        // SAFETY: a data symbol of libstdc++; only its address is taken.
        let base = unsafe { self.library.get::<*const TypeInfo>(b"_ZTISt9exception\0") }.ok()?;
        let base = base.into_raw().cast_const().cast::<TypeInfo>();
        // SAFETY: the slot holds `bool __do_catch(const type_info *, void **, unsigned) const`.
        let do_catch = unsafe {
            core::mem::transmute::<*const c_void, DoCatch>(
                *(*base).virtual_table.add(DO_CATCH_SLOT),
            )
        };
        let mut adjusted = object;
        // SAFETY: asks whether a handler for `std::exception` takes the thrown type, and adjusts
        // the pointer to that base; depth 1 as for a handler by reference.
        if !unsafe { do_catch(base, thrown, &raw mut adjusted, 1) } {
            return None;
        }
        // SAFETY: `adjusted` points to a `std::exception`, whose first word is its virtual table.
        let what = unsafe {
            let table = *adjusted.cast::<*const *const c_void>();
            core::mem::transmute::<*const c_void, What>(*table.add(WHAT_SLOT))
        };
        // SAFETY: the object is alive; `what` is `noexcept`.
        let text = unsafe { what(adjusted) };
        if text.is_null() {
            return None;
        }
        // SAFETY: `what` returns a NUL-terminated string that lives as long as the object.
        let text = unsafe { CStr::from_ptr(text) }.to_bytes();
        Some(String::from_utf8_lossy(&text[..text.len().min(WHAT_BYTES_MAX)]).into_owned())
    }
}
