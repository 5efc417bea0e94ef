//! The thirteen operations that an orchestration calls (spec trb §1.3).
//!
//! The orchestration holds a pointer to the runtime object, of which it knows the prefix: the ops
//! table and the mode of the next scope. Behind the prefix are the orchestrator and what it needs.
//! Each operation finds its way back from the prefix to those two and calls the orchestrator; the
//! variadic ones format their text first.
//!
//! The object lives in the frame of the orchestrator's thread for the duration of one run. All
//! calls come from that thread, one at a time, so each may borrow the orchestrator for its
//! duration. The prefix is only touched through raw pointers: the orchestration writes it too.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::offset_of;

use protocol::{
    Arg, Chip, MixedKernels, RuntimeOps, RuntimePrefix, ScopeMode, StatusCode, TaskOutputTensors,
    Tensor, VariadicEntry,
};

use crate::log::{self, Level, LogRecord};
use crate::orchestrator::{Orchestrator, Services};
use crate::platform::Platform;
use crate::variadic::{
    FatalHandler, LeveledLogHandler, LogHandler, MESSAGE_BYTES, VaList, fatal_entry,
    format_message, leveled_log_entry, log_entry,
};

/// The runtime object of one run.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct OrchestrationRuntime<'e, C: Chip, P: Platform> {
    prefix: RuntimePrefix,
    /// The orchestrator of the run.
    pub(crate) orchestrator: &'e mut Orchestrator,
    /// What it works with.
    pub(crate) services: Services<'e, C, P>,
}

impl<'e, C: Chip, P: Platform> OrchestrationRuntime<'e, C, P> {
    /// An object whose prefix is not connected to its ops yet: see [`connect`](Self::connect).
    #[inline]
    pub(crate) fn new(orchestrator: &'e mut Orchestrator, services: Services<'e, C, P>) -> Self {
        let prefix = RuntimePrefix {
            ops: core::ptr::null(),
            pending_scope_mode: ScopeMode::Auto as u8,
            reserved: [0; 7],
        };
        Self { prefix, orchestrator, services }
    }

    /// Points the prefix at the ops and returns the pointer that the orchestration is bound to.
    ///
    /// # Safety
    ///
    /// `this` points at a live object that is not moved or borrowed while the orchestration may
    /// call.
    pub(crate) unsafe fn connect(this: *mut Self) -> *mut RuntimePrefix {
        // SAFETY: live and unborrowed by the contract.
        unsafe { (*this).prefix.ops = const { &Operations::<C, P>::table() } };
        const { assert!(offset_of!(OrchestrationRuntime<'static, C, P>, prefix) == 0) };
        this.cast()
    }
}

/// The operations for one chip and platform.
struct Operations<C, P>(core::marker::PhantomData<(C, P)>);

impl<C: Chip, P: Platform> Operations<C, P> {
    const fn table() -> RuntimeOps {
        RuntimeOps {
            submit_task: Self::submit_task,
            scope_begin: Self::scope_begin,
            scope_end: Self::scope_end,
            orchestration_done: Self::orchestration_done,
            is_fatal: Self::is_fatal,
            report_fatal: VariadicEntry::new(fatal_entry::<Self>() as *const c_void),
            log_error: VariadicEntry::new(log_entry::<UserLog<ERROR>>() as *const c_void),
            log_warn: VariadicEntry::new(log_entry::<UserLog<WARN>>() as *const c_void),
            log_debug: VariadicEntry::new(log_entry::<UserLog<DEBUG>>() as *const c_void),
            log_info_v: VariadicEntry::new(leveled_log_entry::<UserInfoLog>() as *const c_void),
            get_tensor_data: Self::get_tensor_data,
            set_tensor_data: Self::set_tensor_data,
            alloc_tensors: Self::alloc_tensors,
        }
    }

    /// The orchestrator behind a prefix and what it works with; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// `runtime` is null or came from [`OrchestrationRuntime::connect`] of the same `C` and `P`,
    /// whose object is live for `'a`, and the call comes from the orchestrator's thread, which calls no
    /// other operation as long as it uses what it gets.
    #[inline(always)]
    unsafe fn parts<'a>(
        runtime: *mut RuntimePrefix,
    ) -> Option<(&'a mut Orchestrator, &'a mut Services<'a, C, P>)> {
        let this = runtime.cast::<OrchestrationRuntime<'a, C, P>>();
        if this.is_null() {
            return None;
        }
        // SAFETY: live by the contract; no other operation is under way on the only thread that
        // calls them, and nobody else borrows the object while it is connected.
        let orchestrator = unsafe { &mut *(*this).orchestrator };
        // SAFETY: as above; a different field.
        let services = unsafe { &mut (*this).services };
        Some((orchestrator, services))
    }

    /// Runs `body` with the orchestrator behind a prefix; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// As for [`parts`](Self::parts), for the duration of the call.
    #[inline]
    unsafe fn with<T>(
        runtime: *mut RuntimePrefix,
        body: impl FnOnce(&mut Orchestrator, &mut Services<'_, C, P>) -> T,
    ) -> Option<T> {
        // SAFETY: by the contract.
        let (orchestrator, services) = unsafe { Self::parts(runtime) }?;
        Some(body(orchestrator, services))
    }

    unsafe extern "C" fn submit_task(
        runtime: *mut RuntimePrefix,
        kernels: *const MixedKernels,
        arg: *const Arg,
    ) -> TaskOutputTensors {
        // SAFETY: the orchestration passes the pointer it was bound to.
        let Some((orchestrator, services)) = (unsafe { Self::parts(runtime) }) else {
            return TaskOutputTensors::EMPTY;
        };
        // SAFETY: the others are C++ references, which point at such records.
        unsafe { orchestrator.submit(services, kernels, arg) }
    }

    unsafe extern "C" fn alloc_tensors(
        runtime: *mut RuntimePrefix,
        arg: *const Arg,
    ) -> TaskOutputTensors {
        // SAFETY: as in `submit_task`.
        let Some((orchestrator, services)) = (unsafe { Self::parts(runtime) }) else {
            return TaskOutputTensors::EMPTY;
        };
        // SAFETY: as in `submit_task`.
        unsafe { orchestrator.alloc_tensors(services, arg) }
    }

    unsafe extern "C" fn scope_begin(runtime: *mut RuntimePrefix) {
        if runtime.is_null() {
            return;
        }
        // SAFETY: the prefix is live; this address computation makes no reference to it.
        let pending = unsafe { &raw mut (*runtime).pending_scope_mode };
        // SAFETY: live, and the orchestration is not writing it: it is in this call.
        let mode = unsafe { pending.replace(ScopeMode::Auto as u8) };
        let mode = ScopeMode::try_from(mode).unwrap_or(ScopeMode::Auto);
        // SAFETY: as in `submit_task`. The result is in the fault latch.
        let _latched = unsafe {
            Self::with(runtime, |orchestrator, services| orchestrator.scope_begin(services, mode))
        };
    }

    unsafe extern "C" fn scope_end(runtime: *mut RuntimePrefix) {
        // SAFETY: as in `submit_task`. The result is in the fault latch.
        let _latched = unsafe {
            Self::with(runtime, |orchestrator, services| orchestrator.scope_end(services))
        };
    }

    /// The executor itself sees when the entry returns, so there is nothing left to do; tasks that
    /// an orchestration submits after saying that it is done are run all the same.
    unsafe extern "C" fn orchestration_done(_runtime: *mut RuntimePrefix) {}

    unsafe extern "C" fn is_fatal(runtime: *mut RuntimePrefix) -> bool {
        // SAFETY: as in `submit_task`.
        let Some((_, services)) = (unsafe { Self::parts(runtime) }) else { return true };
        services.faults.is_raised()
    }

    unsafe extern "C" fn get_tensor_data(
        runtime: *mut RuntimePrefix,
        tensor: *const Tensor,
        count: u32,
        indices: *const u32,
    ) -> u64 {
        // SAFETY: as in `submit_task`; a C++ reference and an array of `count` indices.
        let value = unsafe {
            Self::with(runtime, |orchestrator, services| {
                let (tensor, indices) = element_args(services, tensor, count, indices)?;
                Some(orchestrator.get_tensor_data(services, &tensor, indices))
            })
        };
        value.flatten().unwrap_or(0)
    }

    unsafe extern "C" fn set_tensor_data(
        runtime: *mut RuntimePrefix,
        tensor: *const Tensor,
        count: u32,
        indices: *const u32,
        value: u64,
    ) {
        // SAFETY: as in `get_tensor_data`.
        unsafe {
            Self::with(runtime, |orchestrator, services| {
                let arguments = element_args(services, tensor, count, indices);
                if let Some((tensor, indices)) = arguments {
                    orchestrator.set_tensor_data(services, &tensor, indices, value);
                }
            })
        };
    }
}

/// The arguments of an element access; a fault if they cannot be.
///
/// # Safety
///
/// `tensor` is null or points at a `Tensor`, which may be aligned to words only; `indices` is null
/// or points at `count` numbers, which stay as they are for `'a`.
unsafe fn element_args<'a, C: Chip, P: Platform>(
    services: &Services<'_, C, P>,
    tensor: *const Tensor,
    count: u32,
    indices: *const u32,
) -> Option<(Tensor, &'a [u32])> {
    let is_record = !tensor.is_null() && tensor.cast::<u64>().is_aligned();
    let bad_pointer = !is_record || (indices.is_null() && count > 0);
    if bad_pointer || count as usize > protocol::MAX_TENSOR_DIMS {
        if services.check().is_ok() {
            services.fatal(
                StatusCode::InvalidArgs,
                format_args!("an element access has a bad pointer, or {count} indices"),
            );
        }
        return None;
    }
    // SAFETY: non-null, and a tensor by the contract but for its alignment.
    let tensor = unsafe { tensor.read_unaligned() };
    if count == 0 {
        return Some((tensor, &[]));
    }
    // SAFETY: non-null, and that many numbers by the contract.
    Some((tensor, unsafe { core::slice::from_raw_parts(indices, count as usize) }))
}

impl<C: Chip, P: Platform> FatalHandler for Operations<C, P> {
    unsafe extern "C" fn report(
        runtime: *mut c_void,
        code: i32,
        func: *const c_char,
        fmt: *const c_char,
        args: &mut VaList<'_>,
    ) {
        // SAFETY: the contract of the handler.
        let text = unsafe { format_message::<MESSAGE_BYTES>(fmt, args) };
        // SAFETY: the contract of the handler.
        let origin = unsafe { origin(func) };
        // SAFETY: as in `submit_task`.
        let latched = unsafe {
            Self::with(runtime.cast(), |_, services| {
                services.faults.report(code, format_args!("{origin}: {}", text.as_str()))
            })
        };
        let latched = latched.unwrap_or(code);
        let message = text.as_str();
        match (latched == code, message.is_empty()) {
            (true, true) => user_log(Level::Error, 9, origin, format_args!("FATAL(code={code})")),
            (true, false) => {
                user_log(Level::Error, 9, origin, format_args!("FATAL(code={code}): {message}"));
            }
            (false, _) => user_log(
                Level::Error,
                9,
                origin,
                format_args!("FATAL(code={code}, latched={latched}): {message}"),
            ),
        }
    }
}

/// Numbers of the levels, for the const parameter.
const ERROR: u8 = Level::Error as u8;
const WARN: u8 = Level::Warn as u8;
const DEBUG: u8 = Level::Debug as u8;

/// `log_error`, `log_warn` and `log_debug`.
struct UserLog<const LEVEL: u8>;

impl<const LEVEL: u8> LogHandler for UserLog<LEVEL> {
    unsafe extern "C" fn log(func: *const c_char, fmt: *const c_char, args: &mut VaList<'_>) {
        let level = match LEVEL {
            ERROR => Level::Error,
            WARN => Level::Warn,
            _ => Level::Debug,
        };
        // SAFETY: the contract of the handler.
        unsafe { format_and_log(level, 9, func, fmt, args) };
    }
}

/// `log_info_v`.
struct UserInfoLog;

impl LeveledLogHandler for UserInfoLog {
    unsafe extern "C" fn log(
        func: *const c_char,
        level: c_int,
        fmt: *const c_char,
        args: &mut VaList<'_>,
    ) {
        let verbosity = u8::try_from(level.clamp(0, 9)).unwrap_or(9);
        // SAFETY: the contract of the handler.
        unsafe { format_and_log(Level::Info, verbosity, func, fmt, args) };
    }
}

/// Formats a record of the orchestration, if anybody wants it.
///
/// # Safety
///
/// As for the handlers.
unsafe fn format_and_log(
    level: Level,
    verbosity: u8,
    func: *const c_char,
    fmt: *const c_char,
    args: &mut VaList<'_>,
) {
    if !log::is_enabled(level, verbosity) {
        return;
    }
    // SAFETY: by the contract.
    let text = unsafe { format_message::<MESSAGE_BYTES>(fmt, args) };
    // SAFETY: by the contract.
    let origin = unsafe { origin(func) };
    user_log(level, verbosity, origin, format_args!("{}", text.as_str()));
}

fn user_log(level: Level, verbosity: u8, origin: &str, message: core::fmt::Arguments<'_>) {
    log::emit(&LogRecord { level, verbosity, origin, place: None, message });
}

/// The name of the function that speaks.
///
/// # Safety
///
/// `func` is null or a NUL-terminated string that lives as long as the result is used.
unsafe fn origin<'a>(func: *const c_char) -> &'a str {
    if func.is_null() {
        return "orchestration";
    }
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(func) }.to_str().unwrap_or("orchestration")
}
