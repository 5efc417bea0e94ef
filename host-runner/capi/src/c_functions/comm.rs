//! Communicators between processes (spec hbg B9): `comm_…`.
//!
//! A handle is looked up, so calls in any order, also before anything else, get an error and not a
//! crash (spec callable §7.3, R9).

use std::ffi::{OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use host_runner::comm::{ProcessGroup, WAIT_LIMIT_DEFAULT};

use super::c_text;
use crate::client_memory::{Access, check};
use crate::communicator::Communicator;
use crate::failure::Failure;
use crate::guard::{call, keep_panics_quiet};
use crate::handles::COMMUNICATORS;

/// Bytes that a path has at most, with its NUL.
const PATH_BYTES: usize = 4096;

/// `comm_init`.
///
/// # Safety
///
/// Nobody changes or unmaps the path meanwhile.
pub unsafe fn init(rank: c_int, ranks: c_int, rootinfo_path: *const c_char) -> *mut c_void {
    call(|| {
        keep_panics_quiet();
        let number = |what, value: c_int| {
            u32::try_from(value)
                .map_err(|_| Failure::refused(format!("{what} is {value}; use 0 or more")))
        };
        let (rank, ranks) = (number("rank", rank)?, number("nranks", ranks)?);
        // SAFETY: as the caller promises.
        let key = unsafe { c_text("rootinfo_path", rootinfo_path, PATH_BYTES)? };
        if key.is_empty() {
            return Err(Failure::refused(
                "rootinfo_path is NULL or empty; give all ranks one path",
            ));
        }
        let key = Path::new(OsStr::from_bytes(&key));
        let group = ProcessGroup::join(rank, ranks, key, WAIT_LIMIT_DEFAULT)
            .map_err(|error| Failure::of(&error))?;
        Ok(COMMUNICATORS.publish(Arc::new(Communicator::new(group))))
    })
}

/// `comm_alloc_windows`.
///
/// # Safety
///
/// The result is the client's to be written to, for the duration of the call.
pub unsafe fn alloc_windows(comm: *mut c_void, bytes: usize, context_out: *mut u64) -> c_int {
    call(|| {
        let comm = found(comm)?;
        check_result(context_out)?;
        let memory = comm.allocate(bytes)?;
        // SAFETY: writable, as was found and the caller promises.
        unsafe { context_out.write_unaligned(memory.context().raw()) };
        Ok(0)
    })
}

/// `comm_get_local_window_base`.
///
/// # Safety
///
/// As [`alloc_windows`].
pub unsafe fn local_window_base(comm: *mut c_void, base_out: *mut u64) -> c_int {
    call(|| {
        let comm = found(comm)?;
        let base = comm.windows()?.window().raw();
        check_result(base_out)?;
        // SAFETY: writable, as was just found and the caller promises.
        unsafe { base_out.write_unaligned(base) };
        Ok(0)
    })
}

/// `comm_get_window_size`.
///
/// # Safety
///
/// As [`alloc_windows`].
pub unsafe fn window_size(comm: *mut c_void, size_out: *mut usize) -> c_int {
    call(|| {
        let comm = found(comm)?;
        let bytes = comm.windows()?.window_bytes();
        check_result(size_out)?;
        // SAFETY: writable, as was just found and the caller promises.
        unsafe { size_out.write_unaligned(bytes) };
        Ok(0)
    })
}

/// `comm_barrier`.
pub fn barrier(comm: *mut c_void) -> c_int {
    call(|| found(comm)?.barrier().map(|()| 0))
}

/// `comm_destroy`.
pub fn destroy(comm: *mut c_void) -> c_int {
    call(|| {
        let comm = COMMUNICATORS.withdraw(comm).ok_or_else(|| no_communicator(comm))?;
        comm.destroy().map(|()| 0)
    })
}

fn found(comm: *mut c_void) -> Result<Arc<Communicator>, Failure> {
    COMMUNICATORS.find(comm).ok_or_else(|| no_communicator(comm))
}

fn no_communicator(comm: *mut c_void) -> Failure {
    Failure::refused(if comm.is_null() {
        String::from("the communicator is NULL")
    } else {
        format!("{comm:p} is no communicator of this library, or it was destroyed")
    })
}

fn check_result<T>(result: *mut T) -> Result<(), Failure> {
    check("the result", result.cast(), size_of::<T>(), Access::Write)
}
