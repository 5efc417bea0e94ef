//! Memory that the client names by a pointer: looked at before it is touched.
//!
//! A client can be wrong about a pointer in ways that the system knows: null, not mapped, no right to
//! read or write, beyond the end of a mapped file. All of these are found here and become errors. What
//! no one can know, memory that belongs to somebody else, stays the client's promise.
//!
//! ```text
//!  range ──▶ madvise(POPULATE_READ / POPULATE_WRITE): the system touches every page, and says so
//!              └─ refuses to answer (older than Linux 5.14, memory of a device) ──▶ /proc/self/maps
//! ```

use std::ffi::c_void;
use std::fmt::Display;
use std::fs;

use rustix::io::Errno;
use rustix::mm::Advice;
use rustix::param::page_size;
use zerocopy::FromBytes;

use crate::failure::Failure;

/// What is to be done with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is read.
    Read,
    /// It is read and written.
    Write,
}

/// Checks that a range of memory can be used.
///
/// # Errors
///
/// The range is null, wraps around, or has a page that cannot be used that way.
pub(crate) fn check(
    what: impl Display,
    address: *const c_void,
    bytes: usize,
    access: Access,
) -> Result<(), Failure> {
    if bytes == 0 {
        return Ok(());
    }
    if address.is_null() {
        return Err(Failure::refused(format!("{what} is NULL")));
    }
    let start = address.addr();
    let is_usable = start
        .checked_add(bytes)
        .is_some_and(|end| isize::try_from(bytes).is_ok() && is_usable(start, end, access));
    if is_usable {
        return Ok(());
    }
    let right = match access {
        Access::Read => "readable",
        Access::Write => "writable",
    };
    let text = format!("{what}: {bytes} bytes at {start:#x} are not all {right} memory");
    Err(Failure::refused(text))
}

/// Bytes of the client.
///
/// # Safety
///
/// Nobody changes or unmaps the range for `'a`.
///
/// # Errors
///
/// As [`check`].
pub(crate) unsafe fn look<'a>(
    what: impl Display,
    address: *const c_void,
    bytes: usize,
) -> Result<&'a [u8], Failure> {
    check(what, address, bytes, Access::Read)?;
    if bytes == 0 {
        return Ok(&[]);
    }
    // SAFETY: the range was readable just now, and stays so and as it is, as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(address.cast(), bytes) })
}

/// Copies bytes of the client.
///
/// # Safety
///
/// Nobody changes or unmaps the range meanwhile.
///
/// # Errors
///
/// As [`check`], and no memory for the copy.
pub(crate) unsafe fn copy(
    what: &str,
    address: *const c_void,
    bytes: usize,
) -> Result<Vec<u8>, Failure> {
    // SAFETY: as the caller promises.
    let found = unsafe { look(what, address, bytes)? };
    let mut copied = Vec::new();
    copied
        .try_reserve_exact(bytes)
        .map_err(|_| Failure::refused(format!("{what}: no memory for a copy of {bytes} bytes")))?;
    copied.extend_from_slice(found);
    Ok(copied)
}

/// Copies a record of the client, at any alignment.
///
/// # Safety
///
/// As [`copy`].
///
/// # Errors
///
/// As [`check`].
pub(crate) unsafe fn read<T: FromBytes>(what: &str, address: *const c_void) -> Result<T, Failure> {
    check(what, address, size_of::<T>(), Access::Read)?;
    // SAFETY: the range was readable just now and stays so, as the caller promises; every pattern
    // of bytes is a `T`.
    Ok(unsafe { address.cast::<T>().read_unaligned() })
}

/// Whether every page from `start` to `end` can be used. `end` is above `start`.
fn is_usable(start: usize, end: usize, access: Access) -> bool {
    let page = page_size();
    let first = start & !(page - 1);
    let Some(bytes) = end.checked_next_multiple_of(page).map(|last| last - first) else {
        return false;
    };
    let advice = match access {
        Access::Read => Advice::LinuxPopulateRead,
        Access::Write => Advice::LinuxPopulateWrite,
    };
    loop {
        let pages = std::ptr::with_exposed_provenance_mut(first);
        // SAFETY: populating brings pages in, as touching them would; no content or right changes.
        match unsafe { rustix::mm::madvise(pages, bytes, advice) } {
            Ok(()) => return true,
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Not mapped, or touching it would end the process.
            Err(Errno::NOMEM | Errno::FAULT | Errno::HWPOISON) => return false,
            // Rights, memory that is special, or a system that does not know the request.
            Err(_) => return is_listed(start, end, access),
        }
    }
}

/// Whether the system's list of this process's memory has every byte from `start` to `end` with the
/// rights that are asked for.
fn is_listed(start: usize, end: usize, access: Access) -> bool {
    let Ok(list) = fs::read_to_string("/proc/self/maps") else { return false };
    covers(&list, start, end, access)
}

/// Whether a list of mappings, in ascending order, has all bytes with these rights.
fn covers(list: &str, start: usize, end: usize, access: Access) -> bool {
    let mut known = start;
    for line in list.lines() {
        let Some((from, to, rights)) = mapping(line) else { continue };
        if to <= known {
            continue;
        }
        let has_rights =
            rights.starts_with("rw") || (access == Access::Read && rights.starts_with('r'));
        if from > known || !has_rights {
            return false;
        }
        known = to;
        if known >= end {
            return true;
        }
    }
    false
}

/// Start, end and rights of a line such as `7f00-8f00 rw-p …`.
fn mapping(line: &str) -> Option<(usize, usize, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    Some((number(from)?, number(to)?, rest))
}

#[cfg(test)]
mod tests;
