// Graphs of callables that run as one rank of several: each has the context of its rank as its
// first scalar.
#include "cells.h"

#define FUNC_EXCHANGE 7
#define FUNC_DESCRIBE_RANK 8
#define FUNC_WAIT_AND_MARK 9
#define FUNC_PIPE 10

// One task on a vector core with the tensor as inout and the first `scalars` scalars.
static void one_task(const ChipStorageTaskArgs &orch_args, int32_t func_id, int scalars) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_inout(out);
    for (int i = 0; i < scalars; i++) args.add_scalar(orch_args.scalar(i));
    rt_submit_aiv_task(func_id, args);
}

extern "C" {

// Arguments: out; context, first value, round.
void exchange(const ChipStorageTaskArgs &orch_args) { one_task(orch_args, FUNC_EXCHANGE, 3); }

// Arguments: out; context.
void describe_rank(const ChipStorageTaskArgs &orch_args) {
    one_task(orch_args, FUNC_DESCRIBE_RANK, 1);
}

// Arguments: out; context, address of a flag.
void wait_and_mark(const ChipStorageTaskArgs &orch_args) {
    one_task(orch_args, FUNC_WAIT_AND_MARK, 2);
}

// Arguments: out; address of a counter, how many arrive there, value.
void use_pipe(const ChipStorageTaskArgs &orch_args) { one_task(orch_args, FUNC_PIPE, 3); }

// Fills its tensor, wherever that is. Arguments: out; first value.
void fill_tensor(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, orch_args.scalar(0));
}
}
