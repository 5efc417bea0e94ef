// The table of functions through which an orchestration calls the runtime.
//
// The runtime owns the table; an orchestration finds it at the start of the bound runtime object.
// The order and the signatures are the binary interface. Source: spec trb §1.3.
#pragma once

#include <cstdint>

#include "simpler/arg.h"
#include "simpler/kernels.h"
#include "simpler/layout.h"
#include "simpler/task_outputs.h"
#include "tensor.h"

struct PTO2Runtime;

// How a scope finds dependencies: from tensors, or from Arg::add_dep alone.
enum class PTO2ScopeMode : uint8_t { AUTO = 0, MANUAL = 1 };

// Lets the compiler compare printf arguments with their format.
#define SIMPLER_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

struct PTO2RuntimeOps {
    TaskOutputTensors (*submit_task)(PTO2Runtime *rt, const MixedKernels &kernels, const Arg &args);
    // Opens a scope of `pending_scope_mode`, and sets that back to AUTO.
    void (*scope_begin)(PTO2Runtime *rt);
    void (*scope_end)(PTO2Runtime *rt);
    void (*orchestration_done)(PTO2Runtime *rt);
    bool (*is_fatal)(PTO2Runtime *rt);
    void (*report_fatal)(PTO2Runtime *rt, int32_t code, const char *func, const char *fmt, ...)
        SIMPLER_PRINTF(4, 5);
    void (*log_error)(const char *func, const char *fmt, ...) SIMPLER_PRINTF(2, 3);
    void (*log_warn)(const char *func, const char *fmt, ...) SIMPLER_PRINTF(2, 3);
    void (*log_debug)(const char *func, const char *fmt, ...) SIMPLER_PRINTF(2, 3);
    // `v`: 0 most verbose … 9 must be seen.
    void (*log_info_v)(const char *func, int v, const char *fmt, ...) SIMPLER_PRINTF(3, 4);
    // Wait for the producers, then read or write one element as a bit pattern.
    uint64_t (*get_tensor_data)(PTO2Runtime *rt, const Tensor &tensor, uint32_t ndims,
                                const uint32_t indices[]);
    void (*set_tensor_data)(PTO2Runtime *rt, const Tensor &tensor, uint32_t ndims,
                            const uint32_t indices[], uint64_t value);
    TaskOutputTensors (*alloc_tensors)(PTO2Runtime *rt, const Arg &args);
};

SIMPLER_ASSERT_RECORD(PTO2RuntimeOps, 104, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, submit_task, 0, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, scope_begin, 8, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, scope_end, 16, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, orchestration_done, 24, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, is_fatal, 32, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, report_fatal, 40, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, log_error, 48, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, log_warn, 56, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, log_debug, 64, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, log_info_v, 72, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, get_tensor_data, 80, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, set_tensor_data, 88, 8);
SIMPLER_ASSERT_FIELD(PTO2RuntimeOps, alloc_tensors, 96, 8);

// The part of the runtime object that an orchestration may touch; more follows it.
struct PTO2Runtime {
    const PTO2RuntimeOps *ops;
    PTO2ScopeMode pending_scope_mode;  // written just before scope_begin
};

SIMPLER_ASSERT_FIELD(PTO2Runtime, ops, 0, 8);
SIMPLER_ASSERT_FIELD(PTO2Runtime, pending_scope_mode, 8, 1);

// What the optional config function of an orchestration returns.
struct PTO2OrchestrationConfig {
    int expected_arg_count;  // tensors and scalars; 0: not checked
};

SIMPLER_ASSERT_RECORD(PTO2OrchestrationConfig, 4, 4);
SIMPLER_ASSERT_FIELD(PTO2OrchestrationConfig, expected_arg_count, 0, 4);

extern "C" {
// Called by the executor: the runtime before the entry function, null after the run.
__attribute__((visibility("default"))) void framework_bind_runtime(PTO2Runtime *rt);
// The bound runtime, or null.
__attribute__((visibility("hidden"))) PTO2Runtime *framework_current_runtime(void);
}
