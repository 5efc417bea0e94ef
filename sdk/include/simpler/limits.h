// Limits of one task and of one tensor. Source: spec trb §1.5.
#pragma once

#include <cstdint>

// Dimensions of a tensor.
constexpr int32_t RUNTIME_MAX_TENSOR_DIMS = 5;
constexpr int32_t CONTINUOUS_TENSOR_MAX_DIMS = 5;

// Arguments of one submitted task.
constexpr int32_t MAX_TENSOR_ARGS = 16;
constexpr int32_t MAX_SCALAR_ARGS = 32;
constexpr int32_t PTO2_MAX_EXPLICIT_DEPS = 16;

// A MixedKernels slot without a kernel.
constexpr int32_t INVALID_KERNEL_ID = -1;

// Where the two context pointers stand in a kernel's argument list (spec trb §6.4).
constexpr int32_t SIMPLER_LOCAL_CONTEXT_ARG = 48;
constexpr int32_t SIMPLER_GLOBAL_CONTEXT_ARG = 49;
constexpr int32_t SIMPLER_DISPATCH_ARGS = 50;
