//! Limits and fixed names that host, AICPU executor and kernels agree on.
//!
//! They live in one file because each of them sizes an array in a shared record or bounds a value
//! that crosses a boundary: changing one changes the contract. Sources: spec callable §1.1-1.2,
//! spec trb §2.

/// Callable ids toward a reference peer are `0..MAX_REGISTERED_CALLABLE_IDS` (spec callable §1.1).
pub const MAX_REGISTERED_CALLABLE_IDS: usize = 64;
/// Callable ids are `0..EXTENDED_CALLABLE_IDS` at most, between a host and an executor that know of
/// each other that they are ours; how many an executor has, it says
/// ([`SharedMemoryHeader::callable_ids`](crate::SharedMemoryHeader::callable_ids)).
pub const EXTENDED_CALLABLE_IDS: usize = 1024;
/// Kernel function ids are `0..MAX_FUNC_IDS` (spec callable §1.2).
pub const MAX_FUNC_IDS: usize = 1024;
/// Signature slots of a kernel blob (spec callable §1.7).
pub const CORE_MAX_TENSOR_ARGS: usize = 16;
/// Signature slots of a callable and tensor slots of a run's arguments (spec callable §1.4).
pub const CHIP_MAX_TENSOR_ARGS: usize = 64;
/// Tensor slots of one task (spec trb §2.1).
pub const MAX_TENSOR_ARGS: usize = 16;
/// Scalar slots of one task (spec trb §2.1).
pub const MAX_SCALAR_ARGS: usize = 32;
/// Scalar slots of a run's arguments (spec callable §1.4).
pub const CHIP_MAX_SCALAR_ARGS: usize = 128;
/// Explicit dependencies of one task (spec trb §2.1).
pub const MAX_EXPLICIT_DEPS: usize = 16;
/// Dimensions of a tensor (spec callable §1.2).
pub const MAX_TENSOR_DIMS: usize = 5;
/// Kernels in one callable blob; equals [`MAX_FUNC_IDS`] because func ids in a blob are distinct.
pub const MAX_CHILDREN: usize = 1024;
/// Alignment of a kernel inside its callable's storage, and of code inside a kernel, in bytes.
pub const CALLABLE_ALIGN: usize = 64;
/// Size of a symbol name field in bytes, including the NUL (spec callable §1.2).
pub const SYMBOL_NAME_BYTES: usize = 64;
/// Independent task and heap rings; scopes deeper than this share the last one (spec trb §2.1).
pub const RING_COUNT: usize = 4;
/// Task slots per ring where the host sets none; a power of two (spec trb §2.1).
pub const TASK_WINDOW_DEFAULT: u64 = 16384;
/// Heap bytes per ring where the host sets none (spec trb §2.1).
pub const HEAP_BYTES_DEFAULT: u64 = 256 << 20;
/// Dependency list entries per ring where the host sets none (spec trb §2.1).
pub const DEP_POOL_DEFAULT: u64 = 16384;
/// Each output of a task is rounded up to this many bytes (spec trb §2.3).
pub const OUTPUT_ALIGN: u64 = 1024;
/// Each heap allocation is rounded up to this many bytes (spec trb §2.3).
pub const HEAP_ALIGN: u64 = 64;
/// Nested scopes, including the implicit root scope (spec trb §2.1).
pub const MAX_SCOPE_DEPTH: usize = 64;
/// Argument words that a kernel sees: tensors, scalars, gap, two context pointers (spec trb §6.4).
pub const DISPATCH_ARGS: usize = 50;
/// Argument word that points at the kernel's `LocalContext` (spec trb §6.4).
pub const LOCAL_CONTEXT_ARG: usize = 48;
/// Argument word that points at the kernel's `GlobalContext` (spec trb §6.4).
pub const GLOBAL_CONTEXT_ARG: usize = 49;
/// Kernels of a task, one per lane of a cluster: cube, vector 0, vector 1.
pub const LANE_COUNT: usize = 3;
/// Deferred completion conditions that one task may register (spec trb §2.1).
pub const MAX_DEFERRED_CONDITIONS: usize = 64;
/// Host and device buffer pairs that the run record can note (spec callable §1.2).
pub const MAX_TENSOR_PAIRS: usize = 64;

/// Entry symbol where a callable names none (spec trb §1.2).
pub const DEFAULT_ENTRY_SYMBOL: &str = "aicpu_orchestration_entry";
/// Configuration symbol where a callable names none (spec trb §1.2).
pub const DEFAULT_CONFIG_SYMBOL: &str = "aicpu_orchestration_config";
/// Symbol through which an orchestration learns its runtime (spec trb §1.2).
pub const BIND_SYMBOL: &str = "framework_bind_runtime";
/// Symbol of a kernel in a simulator image (spec callable §1.9).
pub const KERNEL_ENTRY_SYMBOL: &str = "kernel_entry";

const _: () = {
    assert!(MAX_REGISTERED_CALLABLE_IDS <= EXTENDED_CALLABLE_IDS);
    assert!(MAX_CHILDREN == MAX_FUNC_IDS);
    assert!(TASK_WINDOW_DEFAULT.is_power_of_two());
    assert!(HEAP_BYTES_DEFAULT.is_power_of_two());
    assert!(OUTPUT_ALIGN.is_power_of_two() && OUTPUT_ALIGN.is_multiple_of(HEAP_ALIGN));
    // A task's own arguments never reach the two context words.
    assert!(MAX_TENSOR_ARGS + MAX_SCALAR_ARGS <= LOCAL_CONTEXT_ARG);
    assert!(GLOBAL_CONTEXT_ARG < DISPATCH_ARGS);
    assert!(DEFAULT_ENTRY_SYMBOL.len() < SYMBOL_NAME_BYTES);
    assert!(DEFAULT_CONFIG_SYMBOL.len() < SYMBOL_NAME_BYTES);
};
