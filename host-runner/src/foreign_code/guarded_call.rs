//! Calls foreign code and catches the C++ exceptions that it lets out ([`aicpu_linux::guarded_call`]), with the
//! unwinder and the C++ run time of this process; through which calls an exception came is noted (`trace`).

use core::ffi::{CStr, c_int, c_void};
use core::ptr::NonNull;

use aicpu_linux::guarded_call::{self, Exception, Unwinder};
use libloading::os::unix::Library;

pub mod trace;

unsafe extern "C" {
    fn _Unwind_SetGR(context: *mut c_void, register: c_int, value: usize);
    fn _Unwind_SetIP(context: *mut c_void, address: usize);
    fn _Unwind_DeleteException(exception: *mut c_void);
}

/// The unwinder that this process is linked against.
static UNWINDER: Unwinder = Unwinder {
    set_register: _Unwind_SetGR,
    set_address: _Unwind_SetIP,
    delete_exception: _Unwind_DeleteException,
    caught: trace::record,
};

/// Calls `call` and returns its value, or the description of the C++ exception that it let out.
///
/// `call` must be a bare call: when an exception passes through it, destructors of what lives in
/// it do not run. `F` and `R` are `Copy` so that nothing with a destructor can be captured.
///
/// # Errors
///
/// Type and `what()` of the exception, as far as they can be found out.
#[inline]
pub fn guarded<F, R>(call: F) -> Result<R, String>
where
    F: FnOnce() -> R + Copy,
    R: Copy,
{
    guarded_call::guarded(&UNWINDER, call).map_err(described)
}

/// What an exception says, which is gone then.
#[cold]
fn described(thrown: Option<Exception>) -> String {
    let Some(exception) = thrown else { return "the call did not return".to_owned() };
    let runtime = CxxRuntime::resident();
    let mut text = String::new();
    let find = |name: &CStr| runtime.as_ref()?.symbol(name);
    // A string has room for everything.
    let _always_fits = exception.describe(&UNWINDER, &find, &mut text);
    text
}

/// The readable form of a name as the compiler wrote it; as it is where that is no C++ name, or no
/// C++ run time is resident.
pub fn demangled(name: &str) -> String {
    let readable = std::ffi::CString::new(name).ok().and_then(|mangled| {
        let runtime = CxxRuntime::resident()?;
        let mut text = String::new();
        let find = |name: &CStr| runtime.symbol(name);
        guarded_call::write_demangled(&find, &mangled, &mut text).ok()?.then_some(text)
    });
    readable.unwrap_or_else(|| name.to_owned())
}

/// The C++ run time of this process; it stays open as long as this does.
///
/// It is never loaded for this: an exception of it can only be in flight where it is resident already.
struct CxxRuntime(Library);

impl CxxRuntime {
    fn resident() -> Option<Self> {
        // SAFETY: with RTLD_NOLOAD nothing is loaded and no constructor runs.
        let library =
            unsafe { Library::open(Some("libstdc++.so.6"), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        library.ok().map(Self)
    }

    /// The address of a symbol of the run time, or of what it needs.
    fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: only the address is taken.
        let symbol = unsafe { self.0.get::<*mut c_void>(name.to_bytes_with_nul()) }.ok()?;
        NonNull::new(symbol.into_raw())
    }
}

#[cfg(test)]
mod tests;
