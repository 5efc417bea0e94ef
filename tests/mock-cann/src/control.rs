//! What a test asks the library, beside what the vendor's have.

use std::ffi::{CStr, c_char};

use crate::books::{Plan, books};

/// Plans something for the `nth` call of a function from now on, from 1: `kind` 0 has it return `code` and do
/// nothing, 1 has what it starts never end, 2 has it say that it did what it did not.
///
/// # Safety
///
/// `name` is text with a NUL behind it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mock_cann_plan(name: *const c_char, nth: u64, kind: i32, code: i32) {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    let plan = match kind {
        0 => Plan::Fail(code),
        1 => Plan::Hang,
        _ => Plan::Pretend,
    };
    books().plan(&name, nth, plan);
}

/// Forgets what was planned and has not come about.
#[unsafe(no_mangle)]
pub extern "C" fn mock_cann_unplan() {
    books().unplan();
}

/// How often a function was called so far.
///
/// # Safety
///
/// `name` is text with a NUL behind it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mock_cann_calls(name: *const c_char) -> u64 {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    books().calls.get(name.as_str()).copied().unwrap_or_default()
}

/// Allocations and streams that are live.
#[unsafe(no_mangle)]
pub extern "C" fn mock_cann_live() -> u64 {
    let books = books();
    (books.memory.len() + books.streams.len()) as u64
}

/// Kills the chip's server.
#[unsafe(no_mangle)]
pub extern "C" fn mock_cann_kill() {
    if let Some(chip) = &books().chip {
        chip.kill();
    }
}

/// Writes the broken rules, a line each, and returns how many bytes that are in all.
///
/// # Safety
///
/// `to` is writable for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mock_cann_violations(to: *mut u8, room: usize) -> usize {
    let text = books().violations.join("\n");
    let bytes = text.len().min(room);
    // SAFETY: the caller's promise.
    unsafe { to.copy_from_nonoverlapping(text.as_ptr(), bytes) };
    text.len()
}
