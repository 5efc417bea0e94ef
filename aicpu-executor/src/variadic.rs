//! C-variadic entries of the ops table: how C++ code calls `log_error(func, fmt, ...)` in Rust.
//!
//! Four slots of the ops table are C-variadic functions (spec trb §1.3). Stable Rust can name
//! such function pointers but cannot define the functions, so this module exists apart from the
//! operations themselves and supplies what the language lacks:
//!
//! 1. [`trampoline`]: a few instructions that spill the argument registers into a C `va_list` and
//!    call an ordinary Rust handler with a pointer to it;
//! 2. [`va_list`]: the two `va_list` layouts, and the reads C's `va_arg` would do;
//! 3. [`format`](mod@format): `printf` formatting in safe code, from an [`ArgumentSource`];
//! 4. [`message`]: the bounded text that comes out.
//!
//! Data flows in that order: C++ call → trampoline → handler → [`format_message`] → [`Message`].

pub mod format;
pub mod message;
pub mod source;
pub mod trampoline;
pub mod va_list;

pub use format::format;
pub use message::Message;
pub use source::{ArgumentSource, StringArgument};
pub use trampoline::{
    FatalEntry, FatalHandler, LeveledLogEntry, LeveledLogHandler, LogEntry, LogHandler,
    fatal_entry, leveled_log_entry, log_entry,
};
pub use va_list::{VaArguments, VaList};

use core::ffi::{CStr, c_char};

/// Bytes of one log or fatal message. The reference formats into 1024 bytes, the last of which is
/// the NUL (spec trb §1.3).
pub const MESSAGE_BYTES: usize = 1023;

/// Formats as `vsnprintf(buffer, N + 1, format, args)` would; a null format gives an empty text.
///
/// # Safety
///
/// The contract of `vprintf`: `format` is null or a NUL-terminated string, `args` holds what its
/// conversions name (missing or other arguments are read from wherever the ABI would have put
/// them), each `%s` argument is null or a string that is NUL-terminated or as long as its
/// precision, and all strings stay unchanged during the call.
pub unsafe fn format_message<const N: usize>(
    format: *const c_char,
    args: &mut VaList<'_>,
) -> Message<N> {
    if format.is_null() {
        return Message::new();
    }
    // SAFETY: not null, hence NUL-terminated by this function's contract.
    let text = unsafe { CStr::from_ptr(format) };
    // SAFETY: the arguments match `format` by this function's contract, and the formatter asks
    // for exactly the arguments the format names, in order.
    let mut source = unsafe { VaArguments::new(args) };
    self::format::format(text.to_bytes(), &mut source)
}
