//! The C functions, without the variant; [`library!`](crate::library) exports them.
//!
//! `include/host_runtime.h` is their documentation for clients: what is said there is not said again
//! here. Pointers are the client's; each function names what it does with them in its safety section,
//! or does nothing with them.

use std::ffi::c_char;

use crate::client_memory;
use crate::failure::Failure;

pub mod callables;
pub mod comm;
pub mod device;
pub mod extras;
pub mod submissions;

/// A text of the client, which ends with a NUL within `limit` bytes; empty for null.
///
/// # Safety
///
/// Nobody changes or unmaps the text meanwhile.
unsafe fn c_text(what: &str, start: *const c_char, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    if start.is_null() {
        return Ok(text);
    }
    while text.len() < limit {
        let next = start.wrapping_add(text.len()).cast();
        // SAFETY: as the caller promises. One by one, since nothing is known beyond the end.
        match unsafe { client_memory::read(what, next)? } {
            0 => return Ok(text),
            byte => text.push(byte),
        }
    }
    Err(Failure::refused(format!("{what} has {limit} bytes or more; shorten it")))
}

/// Copies a text into the client's buffer, cut to fit and always ended, and returns the bytes that all
/// of it needs with its end. With a buffer that is too small the client knows how large to make it.
///
/// # Safety
///
/// The buffer is the client's to be written to, for the duration of the call.
unsafe fn hand_out(text: &str, buffer: *mut c_char, bytes: usize) -> Result<usize, Failure> {
    use crate::client_memory::{Access, check};

    if bytes > 0 && !buffer.is_null() {
        check("the buffer", buffer.cast(), bytes, Access::Write)?;
        let mut fits = text.len().min(bytes - 1);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        // SAFETY: writable, as was just found and the caller promises; the text is no part of it.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), fits);
            buffer.add(fits).write(0);
        }
    }
    Ok(text.len() + 1)
}
