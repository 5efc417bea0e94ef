//! The C library as a client sees it: opened with the system's loader, asked by name.
//!
//! The libraries are dependencies of the tests, so cargo has built them next to the test program.

use std::ffi::{c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use protocol::{ChipStorageTaskArgs, ContinuousTensor, DataType};
use zerocopy::IntoBytes;

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
            if buffer.is_empty() {
                return String::new();
            }
            ask(context, buffer.as_mut_ptr().cast(), buffer.len());
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
        // Off the alignment of the record, as a byte vector of a client may be.
        Client { library: self, context, runtime: vec![0; self.runtime_size() + 8] }
    }

    /// A context on device 0.
    pub fn attach(&self) -> Client<'_> {
        let client = self.create();
        assert_eq!(client.init(0), 0, "{}", client.last_error());
        client
    }
}

/// A context, which is destroyed at the end.
#[derive(Debug)]
pub struct Client<'l> {
    library: &'l HostLibrary,
    /// Its handle.
    pub context: *mut c_void,
    runtime: Vec<u8>,
}

// SAFETY: the library may be called from any thread.
unsafe impl Send for Client<'_> {}
// SAFETY: as above; the buffer is not looked at.
unsafe impl Sync for Client<'_> {}

impl Client<'_> {
    /// `simpler_init`, with the levels that clients use by default.
    pub fn init(&self, device_id: c_int) -> c_int {
        type Init = unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int) -> c_int;
        // SAFETY: its type.
        unsafe { self.library.function::<Init>("simpler_init")(self.context, device_id, 1, 5) }
    }

    /// `finalize_device`.
    pub fn finalize(&self) -> c_int {
        self.library.of_context("finalize_device", self.context)
    }

    /// `prepare_callable` of a whole blob.
    pub fn prepare(&self, cid: i32, blob: &[u8]) -> c_int {
        self.prepare_at(cid, blob.as_ptr().cast())
    }

    /// `prepare_callable` of whatever is there; images of the executor are passed and ignored.
    pub fn prepare_at(&self, cid: i32, blob: *const c_void) -> c_int {
        type Prepare = unsafe extern "C" fn(
            *mut c_void,
            i32,
            *const c_void,
            c_int,
            *const c_void,
            usize,
            *const c_void,
            usize,
        ) -> c_int;
        // SAFETY: its type; the blob stays as it is.
        unsafe {
            let prepare: Prepare = self.library.function("prepare_callable");
            prepare(self.context, cid, blob, 0, ptr::null(), 9, ptr::dangling(), 7)
        }
    }

    /// `run_prepared` on 3 clusters with 4 AICPU threads (spec callable §6.3).
    pub fn run(&self, cid: i32, arguments: &ChipStorageTaskArgs) -> c_int {
        self.run_at(cid, ptr::from_ref(arguments).cast(), 3, 4, 0)
    }

    /// `run_prepared` with whatever is there.
    pub fn run_at(
        &self,
        cid: i32,
        arguments: *const c_void,
        block_dim: c_int,
        threads: c_int,
        device_id: c_int,
    ) -> c_int {
        let runtime = self.runtime.as_ptr().wrapping_add(8).cast_mut().cast();
        self.run_in(runtime, cid, arguments, (block_dim, threads, device_id))
    }

    /// `run_prepared` with this buffer for the run record.
    pub fn run_in(
        &self,
        runtime: *mut c_void,
        cid: i32,
        arguments: *const c_void,
        (block_dim, threads, device_id): (c_int, c_int, c_int),
    ) -> c_int {
        type Run = unsafe extern "C" fn(
            *mut c_void,
            *mut c_void,
            i32,
            *const c_void,
            c_int,
            c_int,
            c_int,
            *const c_void,
            usize,
            *const c_void,
            usize,
            c_int,
            c_int,
            c_int,
            *const c_char,
        ) -> c_int;
        let (none, prefix) = (ptr::null(), c"".as_ptr());
        // SAFETY: its type; tests keep the memory of their tensors.
        unsafe {
            let run: Run = self.library.function("run_prepared");
            let context = self.context;
            run(
                context, runtime, cid, arguments, block_dim, threads, device_id, none, 0, none, 0,
                0, 0, 0, prefix,
            )
        }
    }

    /// `unregister_callable`.
    pub fn unregister(&self, cid: i32) -> c_int {
        type Unregister = unsafe extern "C" fn(*mut c_void, i32) -> c_int;
        // SAFETY: its type.
        unsafe { self.library.function::<Unregister>("unregister_callable")(self.context, cid) }
    }

    /// `device_malloc_ctx`.
    pub fn allocate(&self, bytes: usize) -> *mut c_void {
        type Allocate = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
        // SAFETY: its type.
        unsafe { self.library.function::<Allocate>("device_malloc_ctx")(self.context, bytes) }
    }

    /// `device_free_ctx`.
    pub fn free(&self, address: *mut c_void) {
        type Free = unsafe extern "C" fn(*mut c_void, *mut c_void);
        // SAFETY: its type.
        unsafe { self.library.function::<Free>("device_free_ctx")(self.context, address) }
    }

    /// `copy_to_device_ctx` or `copy_from_device_ctx`, whose second address is read.
    pub fn copy(&self, name: &str, to: *mut c_void, from: *const c_void, bytes: usize) -> c_int {
        type Copy = unsafe extern "C" fn(*mut c_void, *mut c_void, *const c_void, usize) -> c_int;
        // SAFETY: the type of both; tests keep their memory.
        unsafe { self.library.function::<Copy>(name)(self.context, to, from, bytes) }
    }

    /// `simpler_rs_v1_set_copy_rule`.
    pub fn set_copy_rule(&self, rule: c_int) -> c_int {
        type Set = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
        // SAFETY: its type.
        unsafe { self.library.function::<Set>("simpler_rs_v1_set_copy_rule")(self.context, rule) }
    }

    /// `get_aicpu_dlopen_count` and `get_host_dlopen_count`.
    pub fn loads(&self) -> (usize, usize) {
        let count = |name| self.library.of_context(name, self.context);
        (count("get_aicpu_dlopen_count"), count("get_host_dlopen_count"))
    }

    /// The text of the last failure.
    pub fn last_error(&self) -> String {
        self.library.text("simpler_rs_v1_last_error", self.context)
    }

    /// What is held on the device.
    pub fn memory_report(&self) -> String {
        self.library.text("simpler_rs_v1_memory_report", self.context)
    }

    /// `simpler_rs_v1_get_counters`.
    pub fn counters(&self) -> [u64; 8] {
        type Get = unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> c_int;
        let mut counters = [u64::MAX; 8];
        // SAFETY: its type; the array has the size that is given.
        let code = unsafe {
            let get: Get = self.library.function("simpler_rs_v1_get_counters");
            get(self.context, counters.as_mut_ptr().cast(), size_of_val(&counters))
        };
        assert_eq!(code, 0);
        counters
    }

    /// `simpler_rs_v1_submit` on 3 clusters with 4 AICPU threads.
    pub fn submit(&self, cid: i32, arguments: &ChipStorageTaskArgs) -> Submitted<'_> {
        type Submit = unsafe extern "C" fn(
            *mut c_void,
            i32,
            *const c_void,
            c_int,
            c_int,
            c_int,
        ) -> *mut c_void;
        // SAFETY: its type; tests keep the memory of their tensors.
        let run = unsafe {
            let submit: Submit = self.library.function("simpler_rs_v1_submit");
            submit(self.context, cid, ptr::from_ref(arguments).cast(), 3, 4, 0)
        };
        Submitted { library: self.library, run }
    }

    /// `destroy_device_context`; the handle names nothing afterwards.
    pub fn destroy(&self) {
        self.library.of_context("destroy_device_context", self.context)
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.destroy();
    }
}

/// A submitted run, which is freed at the end.
#[derive(Debug)]
pub struct Submitted<'l> {
    library: &'l HostLibrary,
    /// Its handle; null where it was refused.
    pub run: *mut c_void,
}

// SAFETY: the library may be called from any thread.
unsafe impl Send for Submitted<'_> {}
// SAFETY: as above.
unsafe impl Sync for Submitted<'_> {}

impl Submitted<'_> {
    /// `simpler_rs_v1_completion_wait`.
    pub fn wait(&self, timeout_ms: u64) -> c_int {
        type Wait = unsafe extern "C" fn(*mut c_void, u64) -> c_int;
        // SAFETY: its type; tests keep the memory of their tensors.
        unsafe {
            self.library.function::<Wait>("simpler_rs_v1_completion_wait")(self.run, timeout_ms)
        }
    }

    /// `simpler_rs_v1_completion_poll`.
    pub fn poll(&self) -> c_int {
        self.library.of_context("simpler_rs_v1_completion_poll", self.run)
    }

    /// `simpler_rs_v1_completion_cancel`.
    pub fn cancel(&self) -> c_int {
        self.library.of_context("simpler_rs_v1_completion_cancel", self.run)
    }
}

impl Drop for Submitted<'_> {
    fn drop(&mut self) {
        self.library.of_context("simpler_rs_v1_completion_free", self.run)
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
