// What runs are told apart by: results that depend on their arguments, and on which runs came before.
#include "cells.h"

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 0};
}

// out[i] = in[i] + first + i
// Arguments: in, out; first.
void adds(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    Tensor numbers = fill_new(in.shapes[0], orch_args.scalar(0));
    add(in, numbers, out);
}

// out[i] = 2 * in[i] + first + i
// Arguments: in, out; first.
void doubles(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    Tensor numbers = fill_new(in.shapes[0], orch_args.scalar(0));
    Tensor once = add_new(in, numbers);
    add(in, once, out);
}

// state[i] = 3 * state[i] + number + i, which tells the order of several such runs.
// Arguments: state; number.
void notes(const ChipStorageTaskArgs &orch_args) {
    Tensor state = from_tensor_arg(orch_args.tensor(0));
    append(fill_new(state.shapes[0], orch_args.scalar(0)), state, 0);
}

// out[i] = in[i] + first + i and state[i] = 3 * state[i] + in[i] + constant
// Arguments: in, state, out; first, constant.
void mixes(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor state = from_tensor_arg(orch_args.tensor(1));
    Tensor out = from_tensor_arg(orch_args.tensor(2));
    add(in, fill_new(in.shapes[0], orch_args.scalar(0)), out);
    append(in, state, orch_args.scalar(1));
}

// Copies the first cell of each tensor but the first one to a cell of that one, and scribbles on it:
// what arrived on the device, and what would come back.
// Arguments: seen, tensors of one cell; whether the run ends with a fault after all that.
void copies_and_scribbles(const ChipStorageTaskArgs &orch_args) {
    Tensor seen = from_tensor_arg(orch_args.tensor(0));
    const uint32_t first[1] = {0};
    for (uint32_t i = 1; i < static_cast<uint32_t>(orch_args.tensor_count()); ++i) {
        Tensor cell = from_tensor_arg(orch_args.tensor(i));
        Tensor place = part(seen, i - 1, 1);
        // Both as if they changed it, so that the second one waits for the first.
        Arg copy, scribble;
        copy.add_inout(cell);
        copy.add_inout(place);
        copy.add_scalar(uint64_t{0}, uint64_t{0});
        rt_submit_aiv_task(FUNC_APPEND, copy);
        scribble.add_inout(cell);
        scribble.add_scalar(uint64_t{1000} + i, uint64_t{0});
        rt_submit_aiv_task(FUNC_FILL, scribble);
        if (orch_args.scalar(0) != 0) (void)get_tensor_data(cell, 1, first);
    }
    if (orch_args.scalar(0) != 0) {
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%s", "as asked for");
    }
}

}  // extern "C"
