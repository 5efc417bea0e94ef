// What clients of the C library pass: every argument that a run can have.
#include "cells.h"

#define FUNC_WAIT_FOR_FLAG 6

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

// Each tensor becomes three times itself plus the next one plus its number, in order.
// Arguments: any number of tensors of one length.
void chains_all(const ChipStorageTaskArgs &orch_args) {
    const int count = orch_args.tensor_count();
    for (int i = 0; i < count; ++i) {
        append(from_tensor_arg(orch_args.tensor((i + 1) % count)),
               from_tensor_arg(orch_args.tensor(i)), static_cast<uint64_t>(i));
    }
}

// Writes every tensor, then fails.
// Arguments: any number of tensors; whether to fail.
void writes_all_and_may_fail(const ChipStorageTaskArgs &orch_args) {
    for (int i = 0; i < orch_args.tensor_count(); ++i) {
        fill(from_tensor_arg(orch_args.tensor(i)), 1000);
    }
    if (orch_args.scalar(0) != 0) {
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "asked to fail");
    }
}

// One task, which waits for a flag and then writes 1 to the first cell.
// Arguments: out; address of the flag.
void waits_for_flag(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_inout(out);
    args.add_scalar(orch_args.scalar(0));
    rt_submit_aiv_task(FUNC_WAIT_FOR_FLAG, args);
}

}  // extern "C"
