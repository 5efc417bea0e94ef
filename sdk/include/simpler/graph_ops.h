// The table of functions through which an orchestration of hbg builds its graph.
//
// The runtime owns the table; an orchestration gets it with its first argument, so it needs nothing
// of the runtime at link time. The order and the signatures are the binary interface. Source: spec
// hbg §A4, spec callable §1.9.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core_type.h"
#include "simpler/layout.h"
#include "tensor_info.h"

struct OrchestrationRuntime;

// What the calls mean is said at the functions of simpler/graph.h.
struct OrchestrationRuntimeOps {
    int (*add_task)(OrchestrationRuntime *rt, uint64_t *args, int num_args, int func_id,
                    CoreType core_type);
    int (*set_tensor_info_to_task)(OrchestrationRuntime *rt, int task_id,
                                   const TensorInfo *tensor_info, int tensor_count);
    void (*add_successor)(OrchestrationRuntime *rt, int from_task, int to_task);
    void (*record_tensor_pair)(OrchestrationRuntime *rt, void *host_ptr, void *dev_ptr,
                               size_t size);
    int (*get_task_count)(OrchestrationRuntime *rt);
    void (*print_runtime)(OrchestrationRuntime *rt);
    void *(*device_malloc)(OrchestrationRuntime *rt, size_t size);
    void (*device_free)(OrchestrationRuntime *rt, void *dev_ptr);
    int (*copy_to_device)(OrchestrationRuntime *rt, void *dev_ptr, const void *host_ptr,
                          size_t size);
};

SIMPLER_ASSERT_RECORD(OrchestrationRuntimeOps, 72, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, add_task, 0, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, set_tensor_info_to_task, 8, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, add_successor, 16, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, record_tensor_pair, 24, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, get_task_count, 32, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, print_runtime, 40, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, device_malloc, 48, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, device_free, 56, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntimeOps, copy_to_device, 64, 8);
static_assert(sizeof(CoreType) == sizeof(int), "core types are passed as int");

// The part of the runtime object that an orchestration may touch; more may follow it.
struct OrchestrationRuntime {
    const OrchestrationRuntimeOps *ops;
};

SIMPLER_ASSERT_RECORD(OrchestrationRuntime, 8, 8);
SIMPLER_ASSERT_FIELD(OrchestrationRuntime, ops, 0, 8);
