//! The function table through which an orchestration on the host builds its graph (hbg).
//!
//! The orchestration's entry receives a pointer to [`OrchestrationRuntime`], finds the table there and
//! calls through it with the C calling convention (spec hbg §A4). The host owns both records and an
//! orchestration writes neither.

use crate::layout::layout;
use crate::tensor_info::TensorInfo;
use core::ffi::c_void;

/// The runtime object as orchestrations see it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OrchestrationRuntime {
    /// The function table.
    pub ops: &'static OrchestrationRuntimeOps,
}

layout! {
    ORCHESTRATION_RUNTIME: OrchestrationRuntime = "OrchestrationRuntime" on both,
    size 8, align 8 { ops @ 0 }
}

/// The functions that an orchestration may call, in ABI order (spec hbg §A4).
///
/// All take the runtime first. None may unwind. Pointers come from user code and are checked by the
/// callee as far as that is possible. Sizes are bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OrchestrationRuntimeOps {
    /// Adds a task: arguments, their number, func id, core type. Returns its number, or -1.
    pub add_task: unsafe extern "C" fn(*mut OrchestrationRuntime, *mut u64, i32, i32, i32) -> i32,
    /// Says what a task's tensors look like: task, records, their number. Returns 0 or -1.
    pub set_tensor_info_to_task:
        unsafe extern "C" fn(*mut OrchestrationRuntime, i32, *const TensorInfo, i32) -> i32,
    /// Has the second task wait for the first.
    pub add_successor: unsafe extern "C" fn(*mut OrchestrationRuntime, i32, i32),
    /// Marks an output: host memory, device memory, size.
    pub record_tensor_pair:
        unsafe extern "C" fn(*mut OrchestrationRuntime, *mut c_void, *mut c_void, usize),
    /// Returns the number of tasks so far.
    pub get_task_count: unsafe extern "C" fn(*mut OrchestrationRuntime) -> i32,
    /// Writes the graph so far to the log.
    pub print_runtime: unsafe extern "C" fn(*mut OrchestrationRuntime),
    /// Allocates device memory for the run. Returns null where there is none.
    pub device_malloc: unsafe extern "C" fn(*mut OrchestrationRuntime, usize) -> *mut c_void,
    /// Gives device memory back before the run ends.
    pub device_free: unsafe extern "C" fn(*mut OrchestrationRuntime, *mut c_void),
    /// Copies to the device: device memory, host memory, size. Returns 0 or -1.
    pub copy_to_device:
        unsafe extern "C" fn(*mut OrchestrationRuntime, *mut c_void, *const c_void, usize) -> i32,
}

layout! {
    ORCHESTRATION_RUNTIME_OPS: OrchestrationRuntimeOps = "OrchestrationRuntimeOps" on both,
    size 72, align 8 {
        add_task @ 0, set_tensor_info_to_task @ 8, add_successor @ 16, record_tensor_pair @ 24,
        get_task_count @ 32, print_runtime @ 40, device_malloc @ 48, device_free @ 56,
        copy_to_device @ 64,
    }
}
