//! Communicators between processes (spec hbg B9), which this library does not have yet.
//!
//! `comm_init` says so, and the others know no handle, so that a client which calls them in any order
//! gets an error and not a crash (spec callable §7.3, R9). Workers of one process share windows
//! through `host_runner::comm`.

use std::ffi::{c_int, c_void};

use crate::failure::{Failure, REFUSED};
use crate::guard::call;

/// `comm_init`.
pub fn init(rank: c_int, ranks: c_int) -> *mut c_void {
    call(|| {
        Err(Failure::not_supported(format!(
            "comm_init of rank {rank} of {ranks}: communicators of processes are not supported yet"
        )))
    })
}

/// The others: there is no communicator that a handle could name.
pub fn unknown(function: &str, handle: *mut c_void) -> c_int {
    call(|| -> Result<c_int, Failure> {
        let text = format!("{function}: {handle:p} is no communicator; comm_init made none");
        Err(Failure { code: REFUSED, text })
    })
}
