// Tasks with very many producers or consumers.
#include "cells/cells.h"

namespace {
constexpr uint64_t SLOW = 300;  // microseconds; a consumer that does not wait reads too early
}  // namespace

extern "C" {

// As many producers as `cells` has cells, each of one cell, and one consumer of all.
// Arguments: cells, out: uint64.
void fan_in(const ChipStorageTaskArgs &orch_args) {
    Tensor cells = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    for (uint32_t i = 0; i < cells.shapes[0]; ++i) {
        Tensor own = cells_of(cells, i, 1);
        fill(own, 1000 + i * i, i % 7 == 0 ? SLOW : 0);
    }
    Arg args;
    args.add_input(cells);
    weigh_into(args, out);
}

// A consumer that has 72 producers through overlapping views, 8 as creators of new tensors, and 4
// by explicit dependencies alone; some of the former are named explicitly as well, one twice.
// Arguments: cells: uint64 [72], side: uint64 [4], out: uint64 [1].
void fan_in_mixed(const ChipStorageTaskArgs &orch_args) {
    Tensor cells = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(2));
    Tensor unordered = from_tensor_arg(orch_args.tensor(1), true);
    Arg args;
    for (uint32_t i = 0; i < 72; ++i) {
        Tensor own = cells_of(cells, i, 1);
        const PTO2TaskId id = fill(own, 10 * i, i % 9 == 0 ? SLOW : 0);
        if (i == 0) args.add_dep(id, id);
        if (i == 71) args.add_dep(id);
    }
    TaskOutputTensors made[8];
    for (uint32_t i = 0; i < 8; ++i) {
        made[i] = fill_new(3, 7 * i, SLOW);
        if (i % 4 == 0) args.add_dep(made[i].task_id());
    }
    for (uint32_t i = 0; i < 4; ++i) {
        // A view of memory that has no dependencies of its own.
        const uint32_t one[1] = {1};
        const uint32_t offset[1] = {i};
        Tensor own = unordered.view(one, offset, true);
        args.add_dep(fill(own, 500 + i, 5 * SLOW));
    }
    args.add_input(cells);
    for (const TaskOutputTensors &outs : made) args.add_input(outs.get_ref(0));
    args.add_input(unordered);
    weigh_into(args, out);
}

// One slow producer and as many consumers as `out` has cells; then one that waits for all of them.
// Arguments: out: uint64, total: uint64 [1].
void fan_out(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Tensor total = from_tensor_arg(orch_args.tensor(1));
    TaskOutputTensors source = fill_new(1, 5, 10 * SLOW);
    for (uint32_t i = 0; i < out.shapes[0]; ++i) {
        Tensor own = cells_of(out, i, 1);
        append(source.get_ref(0), own, i);
    }
    Arg args;
    args.add_input(out);
    weigh_into(args, total);
}

}  // extern "C"
