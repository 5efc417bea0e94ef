//! C-variadic functions for Rust handlers.
//!
//! Stable Rust can call C-variadic functions and name their types, but not define them. The three
//! shapes the ops table needs (spec trb §1.3) are defined here as naked functions: each spills the
//! argument registers into the save areas of a `va_list` on its stack frame, passes the fixed
//! arguments on untouched, adds a pointer to the list as the next one, and returns when the handler
//! does. The instructions are in one file per machine; this file owns the types.
//!
//! A handler is a type that implements the trait of its shape, so that it can be generic over
//! whatever it serves; [`variadic_entry!`](crate::variadic_entry) wraps a plain function.
//! Handlers are `extern "C"`: a panic in one aborts instead of unwinding into C++.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as machine;
#[cfg(target_arch = "x86_64")]
use x86_64 as machine;

use super::va_list::VaList;
use core::ffi::{c_char, c_int, c_void};
use core::mem::transmute;

/// `void (const char *func, const char *fmt, ...)`: `log_error`, `log_warn`, `log_debug`.
pub type LogEntry = unsafe extern "C" fn(*const c_char, *const c_char, ...);

/// `void (const char *func, int v, const char *fmt, ...)`: `log_info_v`.
pub type LeveledLogEntry = unsafe extern "C" fn(*const c_char, c_int, *const c_char, ...);

/// `void (PTO2Runtime *rt, int32_t code, const char *func, const char *fmt, ...)`: `report_fatal`.
pub type FatalEntry = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char, ...);

/// Handles a [`LogEntry`].
pub trait LogHandler {
    /// Takes the fixed arguments and the list of the others.
    ///
    /// # Safety
    ///
    /// Called by an entry only, on behalf of C code that keeps the contract of `printf`: `func`
    /// and `fmt` are null or NUL-terminated, and `args` holds what `fmt` names.
    unsafe extern "C" fn log(func: *const c_char, fmt: *const c_char, args: &mut VaList<'_>);
}

/// Handles a [`LeveledLogEntry`].
pub trait LeveledLogHandler {
    /// Takes the fixed arguments (`level`: verbosity 0..=9, unchecked) and the list of the others.
    ///
    /// # Safety
    ///
    /// As [`LogHandler::log`].
    unsafe extern "C" fn log(
        func: *const c_char,
        level: c_int,
        fmt: *const c_char,
        args: &mut VaList<'_>,
    );
}

/// Handles a [`FatalEntry`].
pub trait FatalHandler {
    /// Takes the fixed arguments (`runtime`: the object that owns the ops table, `code`: the
    /// status, unchecked) and the list of the others.
    ///
    /// # Safety
    ///
    /// As [`LogHandler::log`]; `runtime` is the pointer the C code was bound to.
    unsafe extern "C" fn report(
        runtime: *mut c_void,
        code: i32,
        func: *const c_char,
        fmt: *const c_char,
        args: &mut VaList<'_>,
    );
}

/// The C-variadic function that calls `H::log`.
#[must_use]
pub const fn log_entry<H: LogHandler>() -> LogEntry {
    // SAFETY: the naked function follows the C calling convention for exactly this type; its own
    // type only lacks the parameters because Rust cannot write them.
    unsafe { transmute::<unsafe extern "C" fn(), LogEntry>(machine::log::<H>) }
}

/// The C-variadic function that calls `H::log`.
#[must_use]
pub const fn leveled_log_entry<H: LeveledLogHandler>() -> LeveledLogEntry {
    // SAFETY: as in `log_entry`.
    unsafe { transmute::<unsafe extern "C" fn(), LeveledLogEntry>(machine::leveled_log::<H>) }
}

/// The C-variadic function that calls `H::report`.
#[must_use]
pub const fn fatal_entry<H: FatalHandler>() -> FatalEntry {
    // SAFETY: as in `log_entry`.
    unsafe { transmute::<unsafe extern "C" fn(), FatalEntry>(machine::fatal::<H>) }
}

/// Declares a `const fn` that returns the C-variadic entry of a handler function.
///
/// `fixed 2` makes a [`LogEntry`], `fixed 3` a [`LeveledLogEntry`], `fixed 4` a [`FatalEntry`]. The
/// handler is a Rust function, safe or `unsafe`, that takes the fixed arguments and
/// `&mut VaList<'_>`; if it is `unsafe`, its contract is that of the trait method it stands for.
///
/// ```
/// use aicpu_executor::variadic::{LogEntry, VaList};
/// use core::ffi::c_char;
///
/// fn ignore(_func: *const c_char, _fmt: *const c_char, _args: &mut VaList<'_>) {}
///
/// aicpu_executor::variadic_entry! {
///     /// The `log_debug` slot.
///     pub fn log_debug_variadic(fixed 2) -> ignore
/// }
///
/// static LOG_DEBUG: LogEntry = log_debug_variadic();
/// // SAFETY: the handler looks at nothing.
/// unsafe { LOG_DEBUG(c"main".as_ptr(), c"%d".as_ptr(), 1) };
/// ```
#[macro_export]
macro_rules! variadic_entry {
    ($(#[$attribute:meta])* $vis:vis fn $name:ident(fixed 2) -> $handler:path) => {
        $crate::variadic_entry! {
            @ [$(#[$attribute])* $vis] $name $handler, LogEntry, log_entry, LogHandler::log
            (func: *const ::core::ffi::c_char, fmt: *const ::core::ffi::c_char)
        }
    };
    ($(#[$attribute:meta])* $vis:vis fn $name:ident(fixed 3) -> $handler:path) => {
        $crate::variadic_entry! {
            @ [$(#[$attribute])* $vis] $name $handler,
            LeveledLogEntry, leveled_log_entry, LeveledLogHandler::log
            (
                func: *const ::core::ffi::c_char,
                level: ::core::ffi::c_int,
                fmt: *const ::core::ffi::c_char
            )
        }
    };
    ($(#[$attribute:meta])* $vis:vis fn $name:ident(fixed 4) -> $handler:path) => {
        $crate::variadic_entry! {
            @ [$(#[$attribute])* $vis] $name $handler, FatalEntry, fatal_entry, FatalHandler::report
            (
                runtime: *mut ::core::ffi::c_void,
                code: i32,
                func: *const ::core::ffi::c_char,
                fmt: *const ::core::ffi::c_char
            )
        }
    };
    (
        @ [$(#[$attribute:meta])* $vis:vis] $name:ident $handler:path,
        $entry:ident, $make:ident, $trait:ident::$method:ident ($($argument:ident: $type:ty),*)
    ) => {
        $(#[$attribute])*
        $vis const fn $name() -> $crate::variadic::$entry {
            struct Handler;
            impl $crate::variadic::$trait for Handler {
                unsafe extern "C" fn $method(
                    $($argument: $type,)*
                    args: &mut $crate::variadic::VaList<'_>,
                ) {
                    // A safe function converts to an unsafe one, so both kinds fit here.
                    let handler: unsafe fn($($type,)* &mut $crate::variadic::VaList<'_>) = $handler;
                    // SAFETY: this method has the contract of the handler it stands for.
                    unsafe { handler($($argument,)* args) }
                }
            }
            $crate::variadic::$make::<Handler>()
        }
    };
}
