//! Calls foreign code and catches the C++ exceptions that it lets out.
//!
//! An orchestration or a kernel may throw past its entry. Nothing in such a shared object has to
//! cooperate: the call goes through a frame of ours whose personality routine declares that it
//! handles every foreign exception (`trampoline`), and the exception object that arrives there
//! is turned into text and destroyed (`describe`). A Rust panic is not ours to handle and
//! passes through.
//!
//! Unwinder and C++ run time are those of the process. The host is linked against them; the firmware,
//! which is linked against nothing, asks the system's loader for their functions. So both are passed
//! in: [`Unwinder`], and a lookup of symbols.
//!
//! Data flow: closure → shim (`extern "C-unwind"`) → trampoline → foreign code; back comes either
//! the closure's value or the exception.

use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;

mod describe;
mod trampoline;

pub use describe::{Symbols, write_demangled};
pub use trampoline::Unwinder;

/// An exception that a call has let out, and that nobody handles but who has this.
#[derive(Debug)]
pub struct Exception(NonNull<c_void>);

impl Exception {
    /// Writes its type and `what()`, as far as they can be found out, and destroys it.
    ///
    /// # Errors
    ///
    /// `text` has no more room. The exception is destroyed whatever happens.
    pub fn describe(
        self,
        unwinder: &Unwinder,
        symbols: Symbols<'_>,
        text: &mut dyn fmt::Write,
    ) -> fmt::Result {
        // SAFETY: an exception in flight that the trampoline has caught, and that only this value has.
        unsafe { describe::consume(self.0, unwinder, symbols, text) }
    }
}

/// What is passed through the trampoline: the call to make, then its result.
struct Passage<F, R> {
    call: F,
    result: Option<R>,
}

/// Calls `call` and returns its value, or the exception that it let out. `None` stands for a call that did not return
/// and let nothing out, which no unwinder does.
///
/// `call` must be a bare call: when an exception passes through it, destructors of what lives in
/// it do not run. `F` and `R` are `Copy` so that nothing with a destructor can be captured.
///
/// # Errors
///
/// The exception.
#[inline]
pub fn guarded<F, R>(unwinder: &'static Unwinder, call: F) -> Result<R, Option<Exception>>
where
    F: FnOnce() -> R + Copy,
    R: Copy,
{
    trampoline::use_unwinder(unwinder);
    let mut passage = Passage { call, result: None };
    // SAFETY: `shim::<F, R>` takes exactly this pointer, which is live and exclusively ours for
    // the duration of the call.
    let thrown = unsafe { trampoline::enter(shim::<F, R>, (&raw mut passage).cast::<c_void>()) };
    match (NonNull::new(thrown), passage.result) {
        (None, Some(result)) => Ok(result),
        (thrown, _) => Err(thrown.map(Exception)),
    }
}

/// Makes the call on the far side of the trampoline.
///
/// # Safety
///
/// `passage` points to a live `Passage<F, R>` that nobody else uses.
unsafe extern "C-unwind" fn shim<F, R>(passage: *mut c_void)
where
    F: FnOnce() -> R + Copy,
    R: Copy,
{
    // SAFETY: the caller's promise.
    let passage = unsafe { &mut *passage.cast::<Passage<F, R>>() };
    passage.result = Some((passage.call)());
}
