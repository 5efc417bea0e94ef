//! Contexts and submitted runs of a library: every call of a client as a method.

#![allow(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "pointers go to the library as they are, and it looks at them before it follows them"
)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use protocol::ChipStorageTaskArgs;

use super::HostLibrary;

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

impl<'l> Client<'l> {
    /// What is behind a handle.
    pub(super) fn new(library: &'l HostLibrary, context: *mut c_void) -> Self {
        // Off the alignment of the record, as a byte vector of a client may be.
        Client { library, context, runtime: vec![0; library.runtime_size() + 8] }
    }

    /// `simpler_init`, with the levels that clients use by default.
    pub fn init(&self, device_id: c_int) -> c_int {
        self.init_with(device_id, 1, 5)
    }

    /// `simpler_init`.
    pub fn init_with(&self, device_id: c_int, level: c_int, info_v: c_int) -> c_int {
        type Init = unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int) -> c_int;
        // SAFETY: its type.
        unsafe {
            self.library.function::<Init>("simpler_init")(self.context, device_id, level, info_v)
        }
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
        self.run_in(runtime, cid, arguments, (block_dim, threads, device_id), None)
    }

    /// `run_prepared` with this buffer for the run record, and with all diagnostics where there is a
    /// folder for them.
    pub fn run_in(
        &self,
        runtime: *mut c_void,
        cid: i32,
        arguments: *const c_void,
        (block_dim, threads, device_id): (c_int, c_int, c_int),
        folder: Option<*const c_char>,
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
        let none = ptr::null();
        let (flag, folder) = (c_int::from(folder.is_some()), folder.unwrap_or(c"".as_ptr()));
        // SAFETY: its type; tests keep the memory of their tensors.
        unsafe {
            let run: Run = self.library.function("run_prepared");
            let context = self.context;
            run(
                context, runtime, cid, arguments, block_dim, threads, device_id, none, 0, none, 0,
                flag, flag, flag, folder,
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

    /// `simpler_rs_v1_set_run_limits`: timeout, stall and grace in milliseconds.
    pub fn set_run_limits(&self, limits: [u64; 3]) -> c_int {
        type Set = unsafe extern "C" fn(*mut c_void, u64, u64, u64) -> c_int;
        let [timeout, stall, grace] = limits;
        // SAFETY: its type.
        unsafe {
            let set: Set = self.library.function("simpler_rs_v1_set_run_limits");
            set(self.context, timeout, stall, grace)
        }
    }

    /// `get_aicpu_dlopen_count` and `get_host_dlopen_count`.
    pub fn loads(&self) -> (usize, usize) {
        let count = |name| self.library.of_context(name, self.context);
        (count("get_aicpu_dlopen_count"), count("get_host_dlopen_count"))
    }

    /// `simpler_rs_v1_variant`.
    pub fn variant(&self) -> String {
        type Ask = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let mut text = vec![0; 32];
        // SAFETY: its type; the buffer has the size that is given.
        let needed = unsafe {
            let ask: Ask = self.library.function("simpler_rs_v1_variant");
            ask(text.as_mut_ptr(), text.len())
        };
        text.truncate(needed - 1);
        String::from_utf8(text).expect("texts are UTF-8")
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
    pub fn counters(&self) -> [u64; 12] {
        self.counters_of(12).try_into().expect("as many as were asked for")
    }

    /// The same of a client that knows so many of them.
    pub fn counters_of(&self, known: usize) -> Vec<u64> {
        type Get = unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> c_int;
        // With one more, which has to stay as it is.
        let mut counters = vec![u64::MAX; known + 1];
        // SAFETY: its type; the array is larger than the size that is given.
        let code = unsafe {
            let get: Get = self.library.function("simpler_rs_v1_get_counters");
            get(self.context, counters.as_mut_ptr().cast(), known * size_of::<u64>())
        };
        assert_eq!((code, counters.pop()), (0, Some(u64::MAX)));
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
