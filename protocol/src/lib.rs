//! What host, AICPU executor, orchestrations and kernels agree on.
//!
//! This crate says what the bytes are: ids, limits, record layouts, register words, status codes,
//! and parsers for what arrives as bytes. What happens with them is in `host-runner` and
//! `aicpu-executor`. It allocates nothing, performs no input or output, and does not panic on any
//! input. Every layout is fixed by the layout tables and checked twice: here at compile time, and
//! field by field in `tests/tests/layout.rs`.
//!
//! Everything is re-exported at the root, so that users write `protocol::Tensor`.
//!
//! Unsafe code is refused outside the modules whose `mod` line below permits it.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod addr;
pub mod args_blob;
pub mod build_id;
pub mod call_config;
pub mod callable;
pub mod chip;
pub mod comm;
pub mod dispatch;
pub mod graph;
pub mod graph_ops;
pub mod handshake;
pub mod ids;
pub mod kernel_args;
pub mod layout;
pub mod limits;
pub mod log_area;
#[expect(unsafe_code, reason = "the address of code is shared between threads")]
pub mod ops;
pub mod profiling;
pub mod registers;
pub mod runtime;
pub mod shared_memory;
pub mod status;
pub mod submit;
pub mod task_args;
pub mod tensor;
pub mod tensor_info;
pub mod wire;
pub mod wire_enum;

pub use addr::DeviceAddr;
pub use args_blob::ArgsBlobView;
pub use build_id::{find_build_id, identity_hash};
pub use call_config::{CallConfig, CallConfigError, OUTPUT_PREFIX_BYTES};
pub use callable::parse::{ChipCallableView, CoreCallableView, Signature};
pub use callable::{CORE_BINARY_OFFSET, ChipCallable, CoreCallable};
pub use chip::{A2a3, A5, Chip, ChipName};
pub use comm::{CommContext, MAX_RANKS};
pub use dispatch::{
    AsyncCtx, AsyncEngine, CompletionType, DeferredCompletionEntry, DeferredCompletionIngress,
    DispatchPayload, GlobalContext, LocalContext, SdmaEventRecord,
};
pub use graph::{
    GRAPH_SHAPES, GRAPH_TASK_ARGS, GraphHeader, GraphLayout, GraphPatch, GraphRun, GraphTask,
    GraphView, WorkspaceLayout, WorkspaceState,
};
pub use graph_ops::{OrchestrationRuntime, OrchestrationRuntimeOps};
pub use handshake::{CoreType, HandshakeA2a3, HandshakeA5, HandshakeRecord};
pub use ids::{CallableId, FuncId, IdOutOfRange, TaskId};
pub use kernel_args::{DeviceArgs, KernelArgsA2a3, KernelArgsA5, ProfilingFlags};
pub use layout::{ENUMS, EnumLayout, FieldLayout, LAYOUTS, StructLayout};
pub use limits::{
    BIND_SYMBOL, CALLABLE_ALIGN, CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS, CORE_MAX_TENSOR_ARGS,
    DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL, DEP_POOL_DEFAULT, DISPATCH_ARGS,
    EXTENDED_CALLABLE_IDS, GLOBAL_CONTEXT_ARG, HEAP_ALIGN, HEAP_BYTES_DEFAULT, KERNEL_ENTRY_SYMBOL,
    LANE_COUNT, LOCAL_CONTEXT_ARG, MAX_CHILDREN, MAX_DEFERRED_CONDITIONS, MAX_EXPLICIT_DEPS,
    MAX_FUNC_IDS, MAX_REGISTERED_CALLABLE_IDS, MAX_SCALAR_ARGS, MAX_SCOPE_DEPTH, MAX_TENSOR_ARGS,
    MAX_TENSOR_DIMS, MAX_TENSOR_PAIRS, OUTPUT_ALIGN, RING_COUNT, SYMBOL_NAME_BYTES,
    TASK_WINDOW_DEFAULT,
};
pub use log_area::{
    LogArea, LogAreaError, LogAreaLayout, LogFrameHeader, LogRing, NO_AICPU_THREAD, NO_CALLABLE,
    RunReport,
};
pub use ops::{RuntimeOps, RuntimePrefix, VariadicEntry};
pub use profiling::dump::{
    DUMP_BUFFER_RECORDS, DUMP_READY_SLOTS_A2A3, DUMP_READY_SLOTS_A5, DumpBuffer, DumpHeaderA2a3,
    DumpHeaderA5, DumpRecord, DumpRole, DumpStage, DumpState,
};
pub use profiling::phase::{
    OrchestratorSummary, PHASE_BUFFER_RECORDS_A2A3, PHASE_BUFFER_RECORDS_A5, PhaseBufferA2a3,
    PhaseBufferA5, PhaseHeaderA2a3, PhaseHeaderA5, PhaseId, PhaseRecord,
};
pub use profiling::pmu::{
    PMU_BUFFER_RECORDS, PMU_COUNTERS_A2A3, PMU_COUNTERS_A5, PMU_READY_SLOTS_A2A3,
    PMU_READY_SLOTS_A5, PmuBufferA2a3, PmuBufferA5, PmuEvent, PmuHeaderA2a3, PmuHeaderA5,
    PmuRecordA2a3, PmuRecordA5, PmuState,
};
pub use profiling::queue::{FREE_QUEUE_SLOTS, FreeQueue, ReadyBuffer};
pub use profiling::swimlane::{
    SWIMLANE_BUFFER_RECORDS, SWIMLANE_FANOUT_MAX, SWIMLANE_READY_SLOTS_A2A3,
    SWIMLANE_READY_SLOTS_A5, SwimlaneBufferA2a3, SwimlaneBufferA5, SwimlaneHeaderA2a3,
    SwimlaneHeaderA5, SwimlaneRecord, SwimlaneStateA2a3, SwimlaneStateA5,
};
pub use registers::{
    Condition, ConditionWord, Dispatch, DispatchId, DispatchWord, FAST_PATH_CLOSE, FAST_PATH_OPEN,
    UnknownWord,
};
pub use runtime::{
    EXTENSION_VERSION, HostApi, RecordOperation, RuntimeA2a3, RuntimeA5, RuntimeBody,
    RuntimeExtension, RuntimeRecord, Task, TensorPair,
};
pub use shared_memory::{
    RingFlowControl, SharedMemoryHeader, SharedMemoryRingHeader, callable_ids_word,
    reference_region_bytes,
};
pub use status::StatusCode;
pub use submit::{
    ActiveMask, Arg, ExplicitDeps, INVALID_KERNEL_ID, Lane, LaunchSpec, MixedKernels,
    OrchestrationConfig, ResourceShape, ScopeMode, TaskOutputTensors,
};
pub use task_args::{ArgDirection, ArgTag, ArgsError, ChipStorageTaskArgs};
pub use tensor::{BufferHandle, ContinuousTensor, DataType, Tensor, TensorCreateInfo, TensorError};
pub use tensor_info::{TensorAllocationInfo, TensorInfo};
pub use wire::WireError;
pub use wire_enum::UnknownValue;
