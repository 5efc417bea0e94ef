//! The function table through which an orchestration calls the executor.
//!
//! The orchestration receives a pointer to [`RuntimePrefix`], finds the table there and calls
//! through it with the C calling convention (spec trb §1.3). The executor owns both records; an
//! orchestration writes nothing but `pending_scope_mode`.

use crate::layout::{check_layout, layout};
use crate::submit::{Arg, MixedKernels, TaskOutputTensors};
use crate::tensor::Tensor;
use core::ffi::c_void;

/// Address of a function with a variable argument list.
///
/// A thin wrapper instead of a function pointer type, because such a function cannot be written
/// in Rust: the executor's entries are assembly with a Rust declaration of their own. Only
/// orchestrations call through it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct VariadicEntry(*const c_void);

impl VariadicEntry {
    /// Takes the address of a function, as in `VariadicEntry::new(log_error as *const c_void)`.
    pub const fn new(entry: *const c_void) -> Self {
        Self(entry)
    }

    /// Returns the address.
    pub const fn as_ptr(self) -> *const c_void {
        self.0
    }
}

// SAFETY: the address of code; nothing can be written through it, and this type never follows it.
unsafe impl Send for VariadicEntry {}
// SAFETY: as for `Send`.
unsafe impl Sync for VariadicEntry {}

/// The runtime object as orchestrations see it; the executor's own state follows.
#[repr(C)]
#[derive(Debug)]
pub struct RuntimePrefix {
    /// The function table.
    pub ops: *const RuntimeOps,
    /// A `ScopeMode` number for the next `scope_begin`, which resets it. Written by the
    /// orchestration.
    pub pending_scope_mode: u8,
    /// Written as zero.
    pub reserved: [u8; 7],
}

check_layout!(RuntimePrefix, size 16, align 8 {
    ops @ 0, pending_scope_mode @ 8, reserved @ 9,
});

/// The functions that an orchestration may call, in ABI order (spec trb §1.3).
///
/// All but the variadic ones take the runtime first. None may unwind. Pointers come from user
/// code and are checked by the callee as far as that is possible.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RuntimeOps {
    /// Submits one task.
    pub submit_task: unsafe extern "C" fn(
        *mut RuntimePrefix,
        *const MixedKernels,
        *const Arg,
    ) -> TaskOutputTensors,
    /// Opens a scope in the pending mode.
    pub scope_begin: unsafe extern "C" fn(*mut RuntimePrefix),
    /// Closes the innermost scope.
    pub scope_end: unsafe extern "C" fn(*mut RuntimePrefix),
    /// Says that no task will follow.
    pub orchestration_done: unsafe extern "C" fn(*mut RuntimePrefix),
    /// Returns whether a fatal error was reported.
    pub is_fatal: unsafe extern "C" fn(*mut RuntimePrefix) -> bool,
    /// `void (runtime, i32 code, const char *func, const char *fmt, ...)`.
    pub report_fatal: VariadicEntry,
    /// `void (const char *func, const char *fmt, ...)`.
    pub log_error: VariadicEntry,
    /// As `log_error`.
    pub log_warn: VariadicEntry,
    /// As `log_error`.
    pub log_debug: VariadicEntry,
    /// `void (const char *func, int verbosity, const char *fmt, ...)`.
    pub log_info_v: VariadicEntry,
    /// Reads one element: tensor, index count, indices.
    pub get_tensor_data:
        unsafe extern "C" fn(*mut RuntimePrefix, *const Tensor, u32, *const u32) -> u64,
    /// Writes one element: tensor, index count, indices, bit pattern.
    pub set_tensor_data:
        unsafe extern "C" fn(*mut RuntimePrefix, *const Tensor, u32, *const u32, u64),
    /// Allocates outputs without a kernel.
    pub alloc_tensors: unsafe extern "C" fn(*mut RuntimePrefix, *const Arg) -> TaskOutputTensors,
}

layout! {
    RUNTIME_OPS: RuntimeOps = "PTO2RuntimeOps" on both, size 104, align 8 {
        submit_task @ 0, scope_begin @ 8, scope_end @ 16, orchestration_done @ 24, is_fatal @ 32,
        report_fatal @ 40, log_error @ 48, log_warn @ 56, log_debug @ 64, log_info_v @ 72,
        get_tensor_data @ 80, set_tensor_data @ 88, alloc_tensors @ 96,
    }
}
