//! The C functions that compilers call without being asked, and a few that C++ code expects.
//!
//! The firmware links no C library, so it brings them; the linker's version script keeps them
//! inside the file. The same addresses are offered to the orchestrations that the firmware loads
//! ([`find`]). Plain loops over words and bytes: tensors are moved by the cores, not by the AICPU,
//! and what is copied here is a few cache lines.

use core::ffi::{c_char, c_int, c_void};

/// Bytes of the word that copies and fills work with.
const WORD: usize = size_of::<u64>();

/// Copies `bytes` bytes upwards; right for regions that do not overlap, or with `to` below `from`.
///
/// # Safety
///
/// `from` is readable and `to` writable for `bytes` bytes.
unsafe fn copy_upwards(to: *mut u8, from: *const u8, bytes: usize) {
    let mut done = 0;
    // With overlap closer than a word, a word would be stored over bytes not read yet.
    if to.addr().abs_diff(from.addr()) >= WORD {
        while bytes - done >= WORD {
            // SAFETY: `done + WORD <= bytes`, and both regions have `bytes` bytes.
            unsafe {
                let word = from.add(done).cast::<u64>().read_unaligned();
                to.add(done).cast::<u64>().write_unaligned(word);
            }
            done += WORD;
        }
    }
    while done < bytes {
        // SAFETY: `done < bytes`.
        unsafe { to.add(done).write(from.add(done).read()) };
        done += 1;
    }
}

/// Copies `bytes` bytes downwards; right for overlapping regions with `to` above `from`.
///
/// # Safety
///
/// As for [`copy_upwards`].
unsafe fn copy_downwards(to: *mut u8, from: *const u8, bytes: usize) {
    let mut left = bytes;
    if to.addr().abs_diff(from.addr()) >= WORD {
        while left >= WORD {
            left -= WORD;
            // SAFETY: `left + WORD <= bytes`, and both regions have `bytes` bytes.
            unsafe {
                let word = from.add(left).cast::<u64>().read_unaligned();
                to.add(left).cast::<u64>().write_unaligned(word);
            }
        }
    }
    while left > 0 {
        left -= 1;
        // SAFETY: `left < bytes`.
        unsafe { to.add(left).write(from.add(left).read()) };
    }
}

/// `memcpy` of C.
///
/// # Safety
///
/// `from` is readable and `to` writable for `bytes` bytes, and the two do not overlap.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { copy_upwards(to.cast(), from.cast(), bytes) };
    to
}

/// `memmove` of C.
///
/// # Safety
///
/// `from` is readable and `to` writable for `bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, bytes: usize) -> *mut c_void {
    if to.addr() <= from.addr() {
        // SAFETY: the caller's promise; the destination is the lower one.
        unsafe { copy_upwards(to.cast(), from.cast(), bytes) };
    } else {
        // SAFETY: the caller's promise; the destination is the higher one.
        unsafe { copy_downwards(to.cast(), from.cast(), bytes) };
    }
    to
}

/// `memset` of C: the low byte of `value` in every byte.
///
/// # Safety
///
/// `to` is writable for `bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memset(to: *mut c_void, value: c_int, bytes: usize) -> *mut c_void {
    let byte = value.to_le_bytes()[0];
    let start = to.cast::<u8>();
    let word = u64::from_ne_bytes([byte; WORD]);
    let mut done = 0;
    while bytes - done >= WORD {
        // SAFETY: `done + WORD <= bytes`.
        unsafe { start.add(done).cast::<u64>().write_unaligned(word) };
        done += WORD;
    }
    while done < bytes {
        // SAFETY: `done < bytes`.
        unsafe { start.add(done).write(byte) };
        done += 1;
    }
    to
}

/// `memcmp` of C: the difference of the first pair of bytes that differ, 0 if none does.
///
/// # Safety
///
/// Both regions are readable for `bytes` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcmp(left: *const c_void, right: *const c_void, bytes: usize) -> c_int {
    let (left, right) = (left.cast::<u8>(), right.cast::<u8>());
    for index in 0..bytes {
        // SAFETY: `index < bytes`.
        let (a, b) = unsafe { (left.add(index).read(), right.add(index).read()) };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
    }
    0
}

/// `bcmp` of BSD: 0 if the regions are equal. Compilers call it for `memcmp(…) == 0`.
///
/// # Safety
///
/// As for [`memcmp`].
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn bcmp(left: *const c_void, right: *const c_void, bytes: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, bytes) }
}

/// `strlen` of C.
///
/// # Safety
///
/// `text` is readable up to its NUL.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: every byte before this one was no NUL, so this one is readable.
    while unsafe { text.add(length).read() } != 0 {
        length += 1;
    }
    length
}

/// `strcmp` of C.
///
/// # Safety
///
/// Both texts are readable up to their NUL.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn strcmp(left: *const c_char, right: *const c_char) -> c_int {
    // SAFETY: the caller's promise; the bound is never reached.
    unsafe { strncmp(left, right, usize::MAX) }
}

/// `strncmp` of C: compares at most `limit` bytes, as unsigned ones.
///
/// # Safety
///
/// Both texts are readable up to their NUL or `limit` bytes, whichever is first.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn strncmp(left: *const c_char, right: *const c_char, limit: usize) -> c_int {
    let (left, right) = (left.cast::<u8>(), right.cast::<u8>());
    for index in 0..limit {
        // SAFETY: neither text has ended before `index`.
        let (a, b) = unsafe { (left.add(index).read(), right.add(index).read()) };
        if a != b || a == 0 {
            return c_int::from(a) - c_int::from(b);
        }
    }
    0
}

/// Finds one of these functions by its C name.
pub(crate) fn find(name: &[u8]) -> Option<u64> {
    let function: *const () = match name {
        b"memcpy" => memcpy as *const (),
        b"memmove" => memmove as *const (),
        b"memset" => memset as *const (),
        b"memcmp" => memcmp as *const (),
        b"bcmp" => bcmp as *const (),
        b"strlen" => strlen as *const (),
        b"strcmp" => strcmp as *const (),
        b"strncmp" => strncmp as *const (),
        _ => return None,
    };
    Some(function.expose_provenance() as u64)
}

#[cfg(test)]
mod tests;
