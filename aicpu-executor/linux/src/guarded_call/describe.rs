//! Turns a caught exception object into text, and destroys it.
//!
//! For exceptions of the GNU C++ run time that run time tells the type
//! (`__cxa_current_exception_type`), demangles its name, and, where the type derives from
//! `std::exception`, `what()` is asked for. Anything else is only named as foreign.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::fmt;
use core::ptr::NonNull;

use super::trampoline::Unwinder;

/// Finds a function or an object of the C++ run time by name; `None` if it has none of that name.
pub type Symbols<'a> = &'a dyn Fn(&CStr) -> Option<NonNull<c_void>>;

/// Class of exceptions of the GNU C++ run time that own their object.
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
type Free = unsafe extern "C" fn(*mut c_void);
type DoCatch =
    unsafe extern "C" fn(*const TypeInfo, *const TypeInfo, *mut *const c_void, c_uint) -> bool;
type What = unsafe extern "C" fn(*const c_void) -> *const c_char;

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
/// # Errors
///
/// No room in `text`.
///
/// # Safety
///
/// `exception` is an exception in flight that the caller has caught and does not use afterwards.
pub(super) unsafe fn consume(
    exception: NonNull<c_void>,
    unwinder: &Unwinder,
    symbols: Symbols<'_>,
    text: &mut dyn fmt::Write,
) -> fmt::Result {
    // SAFETY: every exception object starts with its class.
    let class = unsafe { exception.cast::<UnwindException>().as_ref() }.class;
    let is_cxx = class == GNU_CXX_CLASS || class == GNU_CXX_DEPENDENT_CLASS;
    match CxxRuntime::find(symbols).filter(|_| is_cxx) {
        // SAFETY: the caller's promise; the class says whose exception it is.
        Some(runtime) => unsafe { runtime.consume(exception, class == GNU_CXX_CLASS, text) },
        None => {
            // SAFETY: the caller's promise.
            unsafe { (unwinder.delete_exception)(exception.as_ptr()) };
            if is_cxx {
                return text.write_str("a C++ exception of a statically linked runtime");
            }
            write!(text, "an exception of an unknown language (class {class:#018x})")
        }
    }
}

/// Writes the readable form of a mangled name; `false`, and nothing is written, if it is none.
///
/// # Errors
///
/// No room in `text`.
pub fn write_demangled(
    symbols: Symbols<'_>,
    mangled: &CStr,
    text: &mut dyn fmt::Write,
) -> Result<bool, fmt::Error> {
    let (Some(demangle), Some(free)) = (symbols(c"__cxa_demangle"), symbols(c"free")) else {
        return Ok(false);
    };
    // SAFETY: (both) functions of the C++ ABI and of C with these signatures.
    let (demangle, free) = unsafe {
        (
            core::mem::transmute::<*mut c_void, Demangle>(demangle.as_ptr()),
            core::mem::transmute::<*mut c_void, Free>(free.as_ptr()),
        )
    };
    let mut status: c_int = 0;
    let (buffer, bytes) = (core::ptr::null_mut(), core::ptr::null_mut());
    // SAFETY: the name is NUL-terminated; with null buffers the result is from malloc.
    let readable = unsafe { demangle(mangled.as_ptr(), buffer, bytes, &raw mut status) };
    if readable.is_null() {
        return Ok(false);
    }
    // SAFETY: a NUL-terminated string from malloc, freed once and not used after that.
    let written = unsafe {
        let written = write_lossily(CStr::from_ptr(readable).to_bytes(), text);
        free(readable.cast());
        written
    };
    written.map(|()| true)
}

/// The functions of the C++ run time that are needed.
struct CxxRuntime<'a> {
    symbols: Symbols<'a>,
    begin_catch: BeginCatch,
    end_catch: EndCatch,
    current_type: CurrentType,
}

impl<'a> CxxRuntime<'a> {
    /// Finds the C++ run time that is resident in this process, if there is one.
    fn find(symbols: Symbols<'a>) -> Option<Self> {
        let [begin_catch, end_catch, current_type] =
            [c"__cxa_begin_catch", c"__cxa_end_catch", c"__cxa_current_exception_type"]
                .map(|name| symbols(name).map(NonNull::as_ptr));
        // SAFETY: functions of the C++ ABI with these signatures.
        Some(unsafe {
            Self {
                symbols,
                begin_catch: core::mem::transmute::<*mut c_void, BeginCatch>(begin_catch?),
                end_catch: core::mem::transmute::<*mut c_void, EndCatch>(end_catch?),
                current_type: core::mem::transmute::<*mut c_void, CurrentType>(current_type?),
            }
        })
    }

    /// Describes and destroys an exception of this run time.
    ///
    /// # Safety
    ///
    /// As for [`consume`]; `owns_object` only if the thrown object stands behind the header.
    unsafe fn consume(
        &self,
        exception: NonNull<c_void>,
        owns_object: bool,
        text: &mut dyn fmt::Write,
    ) -> fmt::Result {
        // SAFETY: the exception was caught and is handed to the run time exactly once.
        unsafe { (self.begin_catch)(exception.as_ptr()) };
        let object = owns_object.then(|| exception.as_ptr().wrapping_byte_add(UNWIND_HEADER_BYTES));
        // SAFETY: an exception is being handled now, and this is its object.
        let described = unsafe { self.describe_current(object, text) };
        // SAFETY: pairs with `begin_catch`; destroys the object.
        unsafe { (self.end_catch)() };
        described
    }

    /// Describes the exception that is being handled.
    ///
    /// # Safety
    ///
    /// One is, and `object` is what was thrown.
    unsafe fn describe_current(
        &self,
        object: Option<*mut c_void>,
        text: &mut dyn fmt::Write,
    ) -> fmt::Result {
        // SAFETY: an exception is being handled now.
        let type_info = unsafe { (self.current_type)() };
        if type_info.is_null() {
            return text.write_str("a C++ exception");
        }
        // SAFETY: the type information of the object being handled.
        unsafe { self.write_type_name(type_info, text) }?;
        // SAFETY: object and type belong together, and the object is alive.
        match object.and_then(|object| unsafe { self.what(type_info, object) }) {
            None => Ok(()),
            Some(what) => {
                let what = what.to_bytes();
                text.write_str(": ")?;
                write_lossily(&what[..what.len().min(WHAT_BYTES_MAX)], text)
            }
        }
    }

    /// Writes the readable name of a type.
    ///
    /// # Safety
    ///
    /// `type_info` is the type information of a type of a loaded object.
    unsafe fn write_type_name(
        &self,
        type_info: *const TypeInfo,
        text: &mut dyn fmt::Write,
    ) -> fmt::Result {
        // SAFETY: the caller's promise; the name is a static string.
        let mangled = unsafe { CStr::from_ptr((*type_info).name) };
        // A star marks types whose name is compared by address; it is no part of the name.
        let skip = usize::from(mangled.to_bytes().first() == Some(&b'*'));
        let plain = CStr::from_bytes_with_nul(&mangled.to_bytes_with_nul()[skip..]);
        let plain = plain.unwrap_or(mangled);
        if write_demangled(self.symbols, plain, text)? {
            return Ok(());
        }
        write_lossily(plain.to_bytes(), text)
    }

    /// `what()` of an object whose type derives from `std::exception`; it lives as long as the object.
    ///
    /// # Safety
    ///
    /// `object` is alive and of the type `thrown`.
    unsafe fn what(&self, thrown: *const TypeInfo, object: *const c_void) -> Option<&'static CStr> {
        let base = (self.symbols)(c"_ZTISt9exception")?.as_ptr().cast_const().cast::<TypeInfo>();
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
        // SAFETY: `what` returns a NUL-terminated string that lives as long as the object; nobody here keeps it
        // longer.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
    }
}

/// Writes bytes as text, with a mark for what is none.
fn write_lossily(bytes: &[u8], text: &mut dyn fmt::Write) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        text.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            text.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}
