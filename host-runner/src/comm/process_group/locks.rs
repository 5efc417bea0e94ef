//! Locks on single bytes of a file, which end with whoever holds them.
//!
//! They belong to the open file ("open file description locks"): the system gives them back when the
//! last user of it is gone, which a mapping is too, and so when the process ends, however it does. A
//! lock that is held is a member that lives.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use libc::{F_OFD_GETLK, F_OFD_SETLK, F_UNLCK, F_WRLCK, SEEK_SET};

/// Takes the lock of a byte, unless somebody else has it.
pub(super) fn try_lock(file: &File, byte: u64) -> io::Result<bool> {
    match control(file, F_OFD_SETLK, F_WRLCK, byte, 1) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the locks of `count` bytes back.
pub(super) fn unlock(file: &File, first: u64, count: u64) -> io::Result<()> {
    control(file, F_OFD_SETLK, F_UNLCK, first, count).map(drop)
}

/// Whether somebody else has the lock of one of `count` bytes.
pub(super) fn is_any_held(file: &File, first: u64, count: u64) -> io::Result<bool> {
    // CAST: constants of one byte.
    Ok(control(file, F_OFD_GETLK, F_WRLCK, first, count)?.l_type != F_UNLCK as libc::c_short)
}

fn control(
    file: &File,
    command: libc::c_int,
    kind: libc::c_int,
    first: u64,
    count: u64,
) -> io::Result<libc::flock> {
    // CAST: constants of one byte; offsets below 100.
    let mut request = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: SEEK_SET as libc::c_short,
        l_start: first as libc::off_t,
        l_len: count as libc::off_t,
        l_pid: 0,
    };
    // SAFETY: the file is open, and both commands take such a record, which lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut request) } {
        0 => Ok(request),
        _ => Err(io::Error::last_os_error()),
    }
}
