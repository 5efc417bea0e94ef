// What an orchestration sees of the chip that it is compiled for (spec trb §11).
#include "cells.h"

extern "C" {

// One task from an argument list that named a task that there is not, and was cleared.
// Arguments: out; first value.
void clears_its_arguments(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_dep(PTO2TaskId::invalid());
    args.add_inout(out);
    args.clear();
    args.add_output(out);
    args.add_scalar(orch_args.scalar(0), uint64_t{0});
    rt_submit_aiv_task(FUNC_FILL, args);
}

// Two tasks in a scope for the rest of the block, ordered by hand; the first one takes its time.
// Arguments: out; first value, whether to open a scope of the other kind inside, which is an error.
void guards_a_manual_scope(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    PTO2_SCOPE_GUARD(PTO2ScopeMode::MANUAL);
    const PTO2TaskId first = fill(out, 1, LINGER);
    Arg args;
    args.add_inout(out);
    args.add_dep(first);
    args.add_scalar(orch_args.scalar(0), uint64_t{0});
    rt_submit_aiv_task(FUNC_FILL, args);
    if (orch_args.scalar(1) == 0) return;
    PTO2_SCOPE_GUARD(PTO2ScopeMode::AUTO);
}
}
