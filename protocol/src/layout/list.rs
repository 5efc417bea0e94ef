//! Every published record and enumeration in one place.

use super::{EnumLayout, StructLayout};
use crate::{dispatch, handshake, ids, kernel_args, ops, runtime, submit, task_args, tensor};

/// Every record of the layout tables that this crate defines, on every chip.
pub const LAYOUTS: &[StructLayout] = &[
    ids::TASK_ID,
    tensor::CONTINUOUS_TENSOR,
    tensor::BUFFER_HANDLE,
    tensor::TENSOR,
    tensor::TENSOR_CREATE_INFO,
    task_args::CHIP_STORAGE_TASK_ARGS,
    submit::ACTIVE_MASK,
    submit::MIXED_KERNELS,
    submit::LAUNCH_SPEC_A2A3,
    submit::LAUNCH_SPEC_A5,
    submit::EXPLICIT_DEPS,
    submit::ARG,
    submit::ARG_BASE,
    submit::TENSOR_REF,
    submit::TASK_OUTPUT_TENSORS,
    submit::ORCHESTRATION_CONFIG,
    ops::RUNTIME_OPS,
    dispatch::ASYNC_CTX,
    dispatch::LOCAL_CONTEXT_A2A3,
    dispatch::LOCAL_CONTEXT_A5,
    dispatch::GLOBAL_CONTEXT,
    dispatch::DISPATCH_PAYLOAD,
    dispatch::DEFERRED_COMPLETION_ENTRY,
    dispatch::DEFERRED_COMPLETION_INGRESS,
    dispatch::SDMA_EVENT_RECORD,
    handshake::HANDSHAKE_A2A3,
    handshake::HANDSHAKE_A5,
    kernel_args::KERNEL_ARGS_A2A3,
    kernel_args::KERNEL_ARGS_A5,
    runtime::TASK,
    runtime::TENSOR_PAIR,
    runtime::HOST_API,
    runtime::RUNTIME_A2A3,
    runtime::RUNTIME_A5,
];

/// Every enumeration of the layout tables that this crate defines.
pub const ENUMS: &[EnumLayout] = &[
    tensor::DATA_TYPE,
    task_args::ARG_DIRECTION,
    task_args::ARG_TAG,
    submit::RESOURCE_SHAPE,
    submit::SCOPE_MODE,
    submit::LANE,
    handshake::CORE_TYPE,
];
