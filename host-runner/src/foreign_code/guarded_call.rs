//! Calls foreign code and catches the C++ exceptions that it lets out.
//!
//! An orchestration or a kernel may throw past its entry. Nothing in such a shared object has to
//! cooperate: the call goes through a frame of ours whose personality routine declares that it
//! handles every foreign exception (`trampoline`), and the exception object that arrives there
//! is turned into text and destroyed (`describe`); through which calls it came is noted before
//! (`trace`). A Rust panic is not ours to handle and
//! passes through.
//!
//! Data flow: closure → shim (`extern "C-unwind"`) → trampoline → foreign code; back comes either
//! the closure's value or the exception's text.

use core::ffi::c_void;

mod describe;
pub mod trace;
mod trampoline;

pub use describe::demangled;

/// What is passed through the trampoline: the call to make, then its result.
struct Passage<F, R> {
    call: F,
    result: Option<R>,
}

/// Calls `call` and returns its value, or the description of the C++ exception that it let out.
///
/// `call` must be a bare call: when an exception passes through it, destructors of what lives in
/// it do not run. `F` and `R` are `Copy` so that nothing with a destructor can be captured.
///
/// # Errors
///
/// Type and `what()` of the exception, as far as they can be found out.
pub fn guarded<F, R>(call: F) -> Result<R, String>
where
    F: FnOnce() -> R + Copy,
    R: Copy,
{
    let mut passage = Passage { call, result: None };
    // SAFETY: `shim::<F, R>` takes exactly this pointer, which is live and exclusively ours for
    // the duration of the call.
    let thrown = unsafe { trampoline::enter(shim::<F, R>, (&raw mut passage).cast::<c_void>()) };
    match (core::ptr::NonNull::new(thrown), passage.result) {
        (None, Some(result)) => Ok(result),
        (None, None) => Err("the call did not return".to_owned()),
        (Some(exception), _) => {
            // SAFETY: the trampoline returned it: an exception in flight that we now own.
            Err(unsafe { describe::consume(exception) })
        }
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

#[cfg(test)]
mod tests;
