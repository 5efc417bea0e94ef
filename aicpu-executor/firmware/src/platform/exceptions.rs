//! C++ exceptions that an orchestration lets out: caught with the unwinder that the process has.
//!
//! The image is linked against no unwinder, but code that throws brings one into the process, and the system's
//! loader, which has loaded this image, tells it of our unwind tables. A process without an unwinder has nobody
//! who throws, so there a call is a call.

use core::ffi::{CStr, c_int, c_void};
use core::fmt;

use aicpu_executor::platform::ExceptionText;
use aicpu_linux::guarded_call::{self, Unwinder};
use spin::Once;

use super::resident_symbols::address_of;

/// Calls `call` and returns its value, or what the C++ exception said that it let out.
///
/// # Errors
///
/// Type and `what()` of the exception, as far as they are known and there is room.
pub(super) fn guarded<R: Copy>(call: impl FnOnce() -> R + Copy) -> Result<R, ExceptionText> {
    let Some(unwinder) = unwinder() else { return Ok(call()) };
    guarded_call::guarded(unwinder, call).map_err(|thrown| {
        let mut text = ExceptionText::new();
        if let Some(exception) = thrown {
            // What does not fit is not said.
            let _fits = exception.describe(unwinder, &address_of, &mut Shortened(&mut text));
        }
        text
    })
}

/// Takes as much of a text as there is room for.
struct Shortened<'a>(&'a mut ExceptionText);

impl fmt::Write for Shortened<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|each| self.0.push(each).map_err(|_full| fmt::Error))
    }
}

/// The unwinder of the process. Looked for until there is one: it may come with a library that is loaded later.
fn unwinder() -> Option<&'static Unwinder> {
    static FOUND: Once<Unwinder> = Once::new();
    FOUND.try_call_once(|| find().ok_or(())).ok()
}

fn find() -> Option<Unwinder> {
    let address = |name: &CStr| address_of(name).map(core::ptr::NonNull::as_ptr);
    let set_register = address(c"_Unwind_SetGR")?;
    let set_address = address(c"_Unwind_SetIP")?;
    let delete_exception = address(c"_Unwind_DeleteException")?;
    // SAFETY: functions of the Itanium C++ ABI with these signatures.
    Some(unsafe {
        Unwinder {
            set_register: core::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut c_void, c_int, usize),
            >(set_register),
            set_address: core::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut c_void, usize),
            >(set_address),
            delete_exception: core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(
                delete_exception,
            ),
            caught: || {},
        }
    })
}
