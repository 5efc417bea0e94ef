// Submitting tasks and allocating tensors.
//
// Every call first asks whether the run has failed already and then does nothing: orchestrations
// need no error checks of their own. Source: spec trb §1.4.
#pragma once

#include <cstdint>
#include <type_traits>

#include "pto_runtime_status.h"
#include "simpler/log.h"
#include "simpler/runtime_ops.h"

// Hidden: copies that are not inlined stay out of the dynamic symbol table.
#pragma GCC visibility push(hidden)

namespace simpler {
// The bound runtime, or null if none is bound or the run has failed.
inline PTO2Runtime *live_runtime() {
    PTO2Runtime *rt = framework_current_runtime();
    return rt != nullptr && !rt->ops->is_fatal(rt) ? rt : nullptr;
}
}  // namespace simpler

// Whether the run has failed. True without a runtime: nothing can be submitted then either.
inline bool rt_is_fatal() {
    PTO2Runtime *rt = framework_current_runtime();
    return rt == nullptr || rt->ops->is_fatal(rt);
}

// Called by the executor when the entry has returned; orchestrations have no reason to.
inline void rt_orchestration_done() {
    if (PTO2Runtime *rt = framework_current_runtime()) rt->ops->orchestration_done(rt);
}

// Adds a task to the graph. Returns at once; the result names the task and its new tensors.
inline TaskOutputTensors rt_submit_task(const MixedKernels &kernels, const Arg &args) {
    PTO2Runtime *rt = simpler::live_runtime();
    return rt != nullptr ? rt->ops->submit_task(rt, kernels, args) : TaskOutputTensors{};
}

// A task of one kernel on a cube core.
inline TaskOutputTensors rt_submit_aic_task(int32_t kernel_id, const Arg &args) {
    MixedKernels kernels;
    kernels.aic_kernel_id = kernel_id;
    return rt_submit_task(kernels, args);
}

// A task of one kernel on a vector core.
inline TaskOutputTensors rt_submit_aiv_task(int32_t kernel_id, const Arg &args) {
    MixedKernels kernels;
    kernels.aiv0_kernel_id = kernel_id;
    return rt_submit_task(kernels, args);
}

// Memory without a kernel, usable at once. `args` holds OUTPUT create-infos and nothing else.
inline TaskOutputTensors alloc_tensors(const Arg &args) {
    PTO2Runtime *rt = simpler::live_runtime();
    return rt != nullptr ? rt->ops->alloc_tensors(rt, args) : TaskOutputTensors{};
}

namespace simpler {
// Refuses an Arg with a recorded error here, where its message is at hand.
inline TaskOutputTensors alloc_checked(const Arg &args, const char *func) {
    PTO2Runtime *rt = live_runtime();
    if (rt == nullptr) return TaskOutputTensors{};
    if (args.has_error) {
        rt->ops->report_fatal(rt, PTO2_ERROR_INVALID_ARGS, func, "%s", args.error_msg);
        return TaskOutputTensors{};
    }
    return rt->ops->alloc_tensors(rt, args);
}
}  // namespace simpler

// The same for `count` create-infos in a row.
inline TaskOutputTensors alloc_tensors(const TensorCreateInfo infos[], uint32_t count) {
    if (rt_is_fatal()) return TaskOutputTensors{};
    Arg args;
    // Stops at the first error, so a wild count does not run off the list.
    for (uint32_t i = 0; i < count && !args.has_error; ++i) args.add_output(infos[i]);
    return simpler::alloc_checked(args, __FUNCTION__);
}

// The same for create-infos one by one. A list and its length pick the overload above.
template <typename First, typename... Rest,
          typename = std::enable_if_t<!std::is_pointer<std::decay_t<const First &>>::value>>
TaskOutputTensors alloc_tensors(const First &first, const Rest &...rest) {
    static_assert(std::is_same<TensorCreateInfo, First>::value &&
                      (std::is_same<TensorCreateInfo, Rest>::value && ...),
                  "alloc_tensors takes TensorCreateInfo objects");
    if constexpr (std::is_same<TensorCreateInfo, First>::value &&
                  (std::is_same<TensorCreateInfo, Rest>::value && ...)) {
        if (rt_is_fatal()) return TaskOutputTensors{};
        Arg args;
        args.add_output(first, rest...);
        return simpler::alloc_checked(args, __FUNCTION__);
    }
}

#pragma GCC visibility pop
