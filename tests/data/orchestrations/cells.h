// What the orchestrations of the tests share: the kernels by name, and a submission for each.
#pragma once

#include "pto_orchestration_api.h"

#define FUNC_FILL 0
#define FUNC_ADD 1
#define FUNC_APPEND 2
#define FUNC_WEIGH 3

// Turns for which a task lingers, so that a consumer that does not wait for it reads too early.
constexpr uint64_t LINGER = 2000;

// A new one-dimensional tensor of 64-bit numbers.
inline TensorCreateInfo cells(uint32_t count) {
    return TensorCreateInfo(&count, 1, DataType::UINT64);
}

// `count` cells of a one-dimensional tensor, from `first`.
inline Tensor part(const Tensor &whole, uint32_t first, uint32_t count) {
    return whole.view(&count, &first);
}

// Fills a new tensor with first, first + 1, …
inline Tensor fill_new(uint32_t count, uint64_t first, uint64_t pause = 0) {
    TensorCreateInfo info = cells(count);
    Arg args;
    args.add_output(info);
    args.add_scalar(first, pause);
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_FILL, args);
    return outs.get_ref(0);
}

// Fills an existing tensor with first, first + 1, …
inline PTO2TaskId fill(const Tensor &out, uint64_t first, uint64_t pause = 0) {
    Arg args;
    args.add_output(out);
    args.add_scalar(first, pause);
    return rt_submit_aiv_task(FUNC_FILL, args).task_id();
}

// out = left + right
inline void add(const Tensor &left, const Tensor &right, const Tensor &out) {
    Arg args;
    args.add_input(left, right);
    args.add_output(out);
    rt_submit_aiv_task(FUNC_ADD, args);
}

// A new tensor with left + right
inline Tensor add_new(const Tensor &left, const Tensor &right) {
    TensorCreateInfo info = cells(left.shapes[0]);
    Arg args;
    args.add_input(left, right);
    args.add_output(info);
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_ADD, args);
    return outs.get_ref(0);
}

// state = 3 * state + in + constant
inline PTO2TaskId append(const Tensor &in, const Tensor &state, uint64_t constant,
                         uint64_t pause = 0) {
    Arg args;
    args.add_input(in);
    args.add_inout(state);
    args.add_scalar(constant, pause);
    return rt_submit_aiv_task(FUNC_APPEND, args).task_id();
}
