//! The exported names, as a macro: a library exports what its own crate defines.
//!
//! The functions of `c_functions` have the bodies. The types are C's: `size_t` is `usize`, `int` is
//! `c_int`; records are untyped, as nothing is believed about them.

/// Exports the library of a variant, such as `library!(A2a3Sim, Trb)`.
#[macro_export]
macro_rules! library {
    ($platform:ident, $runtime:ident) => {
        const VARIANT: $crate::variant::Variant = $crate::variant::Variant {
            platform: $crate::variant::PlatformName::$platform,
            runtime: $crate::variant::RuntimeName::$runtime,
        };

        use std::ffi::{c_char, c_int, c_void};

        use $crate::c_functions::{callables, comm, device, extras, submissions};

        $crate::export! {
            fn create_device_context() -> *mut c_void { device::create(VARIANT) }
            fn destroy_device_context(ctx: *mut c_void) -> () { device::destroy(ctx) }
            fn get_runtime_size() -> usize { VARIANT.run_record_bytes() }
            fn simpler_init(
                ctx: *mut c_void,
                device_id: c_int,
                log_level: c_int,
                log_info_v: c_int,
            ) -> c_int {
                device::init(ctx, device_id, log_level, log_info_v)
            }
            fn finalize_device(ctx: *mut c_void) -> c_int { device::finalize(ctx) }
            fn device_malloc_ctx(ctx: *mut c_void, size: usize) -> *mut c_void {
                device::allocate(ctx, size)
            }
            fn device_free_ctx(ctx: *mut c_void, ptr: *mut c_void) -> () { device::free(ctx, ptr) }
            fn copy_to_device_ctx(
                ctx: *mut c_void,
                dev: *mut c_void,
                host: *const c_void,
                size: usize,
            ) -> c_int {
                device::copy_in(ctx, dev, host, size)
            }
            fn copy_from_device_ctx(
                ctx: *mut c_void,
                host: *mut c_void,
                dev: *const c_void,
                size: usize,
            ) -> c_int {
                device::copy_out(ctx, host, dev, size)
            }
            fn prepare_callable(
                ctx: *mut c_void,
                cid: i32,
                callable: *const c_void,
                _device_id: c_int,
                _aicpu: *const c_void,
                _aicpu_size: usize,
                _aicore: *const c_void,
                _aicore_size: usize,
            ) -> c_int {
                callables::prepare(ctx, cid, callable)
            }
            fn run_prepared(
                ctx: *mut c_void,
                runtime: *mut c_void,
                cid: i32,
                args: *const c_void,
                block_dim: c_int,
                aicpu_threads: c_int,
                device_id: c_int,
                _aicpu: *const c_void,
                _aicpu_size: usize,
                _aicore: *const c_void,
                _aicore_size: usize,
                l2_swimlane: c_int,
                dump_tensor: c_int,
                pmu: c_int,
                output_prefix: *const c_char,
            ) -> c_int {
                let launch = callables::LaunchSize { block_dim, aicpu_threads, device_id };
                let diagnostics =
                    callables::Diagnostics { l2_swimlane, dump_tensor, pmu, output_prefix };
                callables::run(ctx, runtime, cid, args, launch, diagnostics)
            }
            fn unregister_callable(ctx: *mut c_void, cid: i32) -> c_int {
                callables::unregister(ctx, cid)
            }
            fn get_aicpu_dlopen_count(ctx: *mut c_void) -> usize { extras::aicpu_loads(ctx) }
            fn get_host_dlopen_count(ctx: *mut c_void) -> usize { extras::host_loads(ctx) }
            fn ensure_acl_ready_ctx(ctx: *mut c_void, _device_id: c_int) -> c_int {
                device::ensure_acl_ready(ctx)
            }
            fn create_comm_stream_ctx(ctx: *mut c_void) -> *mut c_void {
                device::create_comm_stream(ctx)
            }
            fn destroy_comm_stream_ctx(ctx: *mut c_void, _stream: *mut c_void) -> c_int {
                device::destroy_comm_stream(ctx)
            }
            fn comm_init(
                rank: c_int,
                nranks: c_int,
                _stream: *mut c_void,
                rootinfo_path: *const c_char,
            ) -> *mut c_void {
                comm::init(rank, nranks, rootinfo_path)
            }
            fn comm_alloc_windows(comm: *mut c_void, size: usize, out: *mut u64) -> c_int {
                comm::alloc_windows(comm, size, out)
            }
            fn comm_get_local_window_base(comm: *mut c_void, out: *mut u64) -> c_int {
                comm::local_window_base(comm, out)
            }
            fn comm_get_window_size(comm: *mut c_void, out: *mut usize) -> c_int {
                comm::window_size(comm, out)
            }
            fn comm_barrier(comm: *mut c_void) -> c_int { comm::barrier(comm) }
            fn comm_destroy(comm: *mut c_void) -> c_int { comm::destroy(comm) }
        }

        $crate::export! {
            fn simpler_rs_v1_abi_version() -> u32 { extras::ABI_VERSION }
            fn simpler_rs_v1_capabilities() -> u64 { extras::capabilities() }
            fn simpler_rs_v1_variant(buffer: *mut c_char, size: usize) -> usize {
                extras::variant(VARIANT, buffer, size)
            }
            fn simpler_rs_v1_get_runtime_alignment() -> usize { VARIANT.run_record_align() }
            fn simpler_rs_v1_last_error(
                ctx: *mut c_void,
                buffer: *mut c_char,
                size: usize,
            ) -> usize {
                extras::last_error(ctx, buffer, size)
            }
            fn simpler_rs_v1_prepare_callable_sized(
                ctx: *mut c_void,
                cid: i32,
                callable: *const c_void,
                size: usize,
            ) -> c_int {
                callables::prepare_sized(ctx, cid, callable, size)
            }
            fn simpler_rs_v1_submit(
                ctx: *mut c_void,
                callable_id: i32,
                args: *const c_void,
                block_dim: c_int,
                aicpu_threads: c_int,
                device_id: c_int,
            ) -> *mut c_void {
                let launch = callables::LaunchSize { block_dim, aicpu_threads, device_id };
                submissions::submit(ctx, callable_id, args, launch)
            }
            fn simpler_rs_v1_completion_wait(run: *mut c_void, timeout_ms: u64) -> c_int {
                submissions::wait(run, timeout_ms)
            }
            fn simpler_rs_v1_completion_poll(run: *mut c_void) -> c_int {
                submissions::wait(run, 0)
            }
            fn simpler_rs_v1_completion_cancel(run: *mut c_void) -> c_int {
                submissions::cancel(run)
            }
            fn simpler_rs_v1_completion_free(run: *mut c_void) -> () { submissions::free(run) }
            fn simpler_rs_v1_set_copy_rule(ctx: *mut c_void, rule: c_int) -> c_int {
                extras::set_copy_rule(ctx, rule)
            }
            fn simpler_rs_v1_set_run_limits(
                ctx: *mut c_void,
                timeout_ms: u64,
                stall_ms: u64,
                grace_ms: u64,
            ) -> c_int {
                extras::set_run_limits(ctx, timeout_ms, stall_ms, grace_ms)
            }
            fn simpler_rs_v1_memory_report(
                ctx: *mut c_void,
                buffer: *mut c_char,
                size: usize,
            ) -> usize {
                extras::memory_report(ctx, buffer, size)
            }
            fn simpler_rs_v1_get_counters(
                ctx: *mut c_void,
                counters: *mut c_void,
                size: usize,
            ) -> c_int {
                extras::counters(ctx, counters, size)
            }
        }
    };
}

/// Exports functions whose bodies are calls of [`c_functions`](crate::c_functions).
#[doc(hidden)]
#[macro_export]
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty $body:block)*) => {$(
        #[doc = "See `include/host_runtime.h`."]
        ///
        /// # Safety
        ///
        /// What the header asks of its pointers.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments, reason = "the reference's interface")]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
            #[allow(unused_unsafe, reason = "some of them follow no pointer")]
            // SAFETY: as the caller promises.
            unsafe { $body }
        }
    )*};
}
