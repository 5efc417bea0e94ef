//! Communicators of a library: every call of a client as a method.

#![allow(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "pointers go to the library as they are, and it looks at them before it follows them"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::HostLibrary;

/// A communicator; whoever made it destroys it.
#[derive(Debug)]
pub struct Communicator<'l> {
    library: &'l HostLibrary,
    /// Its handle; null where it was refused.
    pub comm: *mut c_void,
}

impl<'l> Communicator<'l> {
    /// `comm_init`.
    pub fn init(library: &'l HostLibrary, rank: c_int, ranks: c_int, path: &CStr) -> Self {
        Self::init_at(library, rank, ranks, path.as_ptr())
    }

    /// `comm_init` with whatever is there.
    pub fn init_at(
        library: &'l HostLibrary,
        rank: c_int,
        ranks: c_int,
        path: *const c_char,
    ) -> Self {
        type Init = unsafe extern "C" fn(c_int, c_int, *mut c_void, *const c_char) -> *mut c_void;
        // SAFETY: its type.
        let init: Init = unsafe { library.function("comm_init") };
        // SAFETY: the path stays as it is.
        Self { library, comm: unsafe { init(rank, ranks, ptr::null_mut(), path) } }
    }

    /// `comm_alloc_windows`, with the result at `out`.
    pub fn allocate(&self, bytes: usize, out: *mut u64) -> c_int {
        type Allocate = unsafe extern "C" fn(*mut c_void, usize, *mut u64) -> c_int;
        // SAFETY: its type.
        unsafe { self.library.function::<Allocate>("comm_alloc_windows")(self.comm, bytes, out) }
    }

    /// `comm_get_local_window_base` or `comm_get_window_size`, with the result at `out`.
    pub fn get(&self, name: &str, out: *mut u64) -> c_int {
        // `size_t` has 64 bits on the supported targets.
        type Get = unsafe extern "C" fn(*mut c_void, *mut u64) -> c_int;
        // SAFETY: the type of both.
        unsafe { self.library.function::<Get>(name)(self.comm, out) }
    }

    /// `comm_barrier`.
    pub fn barrier(&self) -> c_int {
        self.library.of_context("comm_barrier", self.comm)
    }

    /// `comm_destroy`; the handle names nothing afterwards.
    pub fn destroy(&self) -> c_int {
        self.library.of_context("comm_destroy", self.comm)
    }

    /// The text of this thread's last failure.
    pub fn last_error(&self) -> String {
        self.library.text("simpler_rs_v1_last_error", ptr::null_mut())
    }
}
