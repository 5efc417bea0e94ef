// Tasks on tensors of 64-bit numbers, for orchestrations. The kernels are in `cells/kernels`.
#pragma once

#include "pto_orchestration_api.h"

#define FUNC_FILL 0
#define FUNC_APPEND 1
#define FUNC_WEIGH 2

// The element type of all of them.
static inline TensorCreateInfo cells_info(uint32_t count) {
    const uint32_t shape[1] = {count};
    return TensorCreateInfo(shape, 1, DataType::UINT64);
}

// The `count` cells of `tensor` from `first` on.
static inline Tensor cells_of(const Tensor &tensor, uint32_t first, uint32_t count) {
    const uint32_t shape[1] = {count};
    const uint32_t offset[1] = {first};
    return tensor.view(shape, offset);
}

// out[i] = value + i in a tensor that exists.
static inline PTO2TaskId fill(const Tensor &out, uint64_t value, uint64_t microseconds = 0) {
    Arg args;
    args.add_inout(out);
    args.add_scalar(value, microseconds);
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_FILL, args);
    return outs.task_id();
}

// The same in a new tensor.
static inline TaskOutputTensors fill_new(uint32_t count, uint64_t value,
                                         uint64_t microseconds = 0) {
    TensorCreateInfo info = cells_info(count);
    Arg args;
    args.add_output(info);
    args.add_scalar(value, microseconds);
    return rt_submit_aiv_task(FUNC_FILL, args);
}

// state[i] = 3 * state[i] + in[0] + constant.
static inline PTO2TaskId append(const Tensor &in, const Tensor &state, uint64_t constant,
                                uint64_t microseconds = 0) {
    Arg args;
    args.add_input(in);
    args.add_inout(state);
    args.add_scalar(constant, microseconds);
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_APPEND, args);
    return outs.task_id();
}

// Ends the list of the inputs of a task that weighs them.
static inline void weigh_into(Arg &args, const Tensor &out) {
    const int32_t inputs = args.tensor_count();
    args.add_inout(out);
    // So that the kernel finds the number without knowing it: argument 16, whatever comes before.
    for (int32_t i = args.tensor_count(); i < 16; ++i) args.add_scalar(uint64_t{0});
    args.add_scalar(inputs);
    rt_submit_aiv_task(FUNC_WEIGH, args);
}
