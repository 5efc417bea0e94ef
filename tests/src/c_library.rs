//! The C library as a client sees it: opened with the system's loader, asked by name.
//!
//! The libraries are dependencies of the tests, so cargo has built them next to the test program.

#![allow(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "pointers go to the library as they are, and it looks at them before it follows them"
)]

use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::ptr;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use protocol::{ChipStorageTaskArgs, ContinuousTensor, DataType};
use zerocopy::IntoBytes;

mod client;
mod communicator;

pub use client::{Client, Submitted};
pub use communicator::Communicator;

/// What existing clients look up, all of it (spec callable §2.1).
pub const REFERENCE_FUNCTIONS: [&str; 23] = [
    "create_device_context",
    "destroy_device_context",
    "device_malloc_ctx",
    "device_free_ctx",
    "copy_to_device_ctx",
    "copy_from_device_ctx",
    "get_runtime_size",
    "simpler_init",
    "prepare_callable",
    "run_prepared",
    "unregister_callable",
    "get_aicpu_dlopen_count",
    "get_host_dlopen_count",
    "finalize_device",
    "ensure_acl_ready_ctx",
    "create_comm_stream_ctx",
    "destroy_comm_stream_ctx",
    "comm_init",
    "comm_alloc_windows",
    "comm_get_local_window_base",
    "comm_get_window_size",
    "comm_barrier",
    "comm_destroy",
];

/// All variants, as the libraries are called.
pub const VARIANTS: [&str; 4] = ["a2a3_trb", "a2a3_hbg", "a5_trb", "a5_hbg"];

/// Where cargo has put a library.
pub fn path(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("the path of the test program");
    program.with_file_name(format!("lib{name}.so"))
}

/// Opens the libraries that clients open first, for all of the process and for good.
pub fn open_companions() {
    for name in ["simpler_log", "cpu_sim_context"] {
        // SAFETY: they do nothing when they are opened.
        let library = unsafe { Library::open(Some(path(name)), RTLD_NOW | RTLD_GLOBAL) };
        std::mem::forget(library.expect("the library opens"));
    }
}

/// An open library of one variant.
#[derive(Debug)]
pub struct HostLibrary(Library);

impl HostLibrary {
    /// Opens `a2a3_trb` or another of [`VARIANTS`] as clients do.
    pub fn open(variant: &str) -> Self {
        let path = path(&format!("host_runtime_{variant}"));
        // SAFETY: it does nothing when it is opened.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        Self(library.expect("the library opens"))
    }

    /// Whether it exports a function.
    pub fn has(&self, name: &str) -> bool {
        // SAFETY: the address is not used.
        unsafe { self.0.get::<*mut c_void>(name.as_bytes()).is_ok() }
    }

    /// A function by name.
    ///
    /// # Safety
    ///
    /// It has this type.
    pub unsafe fn function<F: Copy>(&self, name: &str) -> F {
        // SAFETY: as the caller promises.
        unsafe { *self.0.get::<F>(name.as_bytes()).expect("an exported function") }
    }

    /// A function that takes a context and returns a number.
    fn of_context<R>(&self, name: &str, context: *mut c_void) -> R {
        // SAFETY: the callers below name functions of this type.
        unsafe { self.function::<unsafe extern "C" fn(*mut c_void) -> R>(name)(context) }
    }

    /// `get_runtime_size`.
    pub fn runtime_size(&self) -> usize {
        // SAFETY: its type.
        unsafe { self.function::<unsafe extern "C" fn() -> usize>("get_runtime_size")() }
    }

    /// The text of a function that hands one out; empty where it fails.
    pub fn text(&self, name: &str, context: *mut c_void) -> String {
        type Ask = unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> usize;
        // SAFETY: the callers name functions of this type; the buffer has the size that is given.
        unsafe {
            let ask: Ask = self.function(name);
            let mut buffer = vec![0xEE; ask(context, ptr::null_mut(), 0)];
            if buffer.is_empty() || ask(context, buffer.as_mut_ptr().cast(), buffer.len()) == 0 {
                return String::new();
            }
            // With other threads about, the text may be another one by now.
            let end = buffer.iter().position(|byte| *byte == 0).expect("the text is ended");
            buffer.truncate(end);
            String::from_utf8(buffer).expect("texts are UTF-8")
        }
    }

    /// A context that is not attached yet.
    pub fn create(&self) -> Client<'_> {
        type Create = unsafe extern "C" fn() -> *mut c_void;
        // SAFETY: its type.
        let context = unsafe { self.function::<Create>("create_device_context")() };
        assert!(!context.is_null());
        Client::new(self, context)
    }

    /// A context on device 0.
    pub fn attach(&self) -> Client<'_> {
        let client = self.create();
        assert_eq!(client.init(0), 0, "{}", client.last_error());
        client
    }
}

/// A host tensor of one dimension, as a client passes it.
pub fn tensor<T: IntoBytes>(dtype: DataType, elements: &mut [T]) -> ContinuousTensor {
    let count = u32::try_from(elements.len()).expect("a short tensor");
    ContinuousTensor {
        data: elements.as_mut_ptr().expose_provenance() as u64,
        shapes: [count, 0, 0, 0, 0],
        ndims: 1,
        dtype: dtype as u8,
        ..ContinuousTensor::default()
    }
}

/// The record of a run.
pub fn arguments(tensors: &[ContinuousTensor], scalars: &[u64]) -> ChipStorageTaskArgs {
    let mut record = ChipStorageTaskArgs::new();
    for tensor in tensors {
        record.push_tensor(*tensor).expect("at most 64 tensors");
    }
    for scalar in scalars {
        record.push_scalar(*scalar).expect("at most 128 scalars");
    }
    record
}
