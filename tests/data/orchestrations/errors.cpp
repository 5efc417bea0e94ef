// Runs that cannot end well: waits for kernels that do not return, and two errors in one run.
#include "cells.h"

#define FUNC_COUNT 4
#define FUNC_THROWS 5
#define FUNC_WAIT_FOR_FLAG 6

namespace {
// A task whose kernel waits for a flag.
PTO2TaskId wait_for_flag(const Tensor &out, uint64_t flag) {
    Arg args;
    args.add_inout(out);
    args.add_scalar(flag);
    return rt_submit_aiv_task(FUNC_WAIT_FOR_FLAG, args).task_id();
}

// A task whose kernel throws.
void throws(const Tensor &out) {
    Arg args;
    args.add_inout(out);
    rt_submit_aiv_task(FUNC_THROWS, args);
}

const uint32_t FIRST[1] = {0};
}  // namespace

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

// More tasks than a ring has slots, each in a scope of its own, behind one that hangs.
// Arguments: out; address of the flag.
void slots_behind_a_hanging_task(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (int i = 0; i < 10; ++i) {
        PTO2_SCOPE() { wait_for_flag(out, orch_args.scalar(0)); }
    }
}

// More outputs than a ring has memory, each in a scope of its own, behind one that hangs.
// Arguments: out; address of the flag.
void outputs_behind_a_hanging_task(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t i = 0; i < 10; ++i) {
        PTO2_SCOPE() {
            TensorCreateInfo info = cells(64);
            Arg args;
            args.add_output(info);
            args.add_scalar(i, uint64_t{0});
            if (i > 0) {
                rt_submit_aiv_task(FUNC_FILL, args);
                continue;
            }
            Arg hanging;
            hanging.add_output(info);
            hanging.add_scalar(orch_args.scalar(0));
            rt_submit_aiv_task(FUNC_WAIT_FOR_FLAG, hanging);
        }
    }
    fill(out, 1);
}

// Reads what a task that hangs would write.
// Arguments: out; address of the flag.
void reads_from_a_hanging_task(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    wait_for_flag(out, orch_args.scalar(0));
    (void)get_tensor_data(out, 1, FIRST);
}

// Writes what a task that hangs still uses.
// Arguments: out; address of the flag.
void writes_to_a_hanging_task(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 3);
    Tensor made = fill_new(out.shapes[0], 4);
    Arg args;
    args.add_input(made);
    args.add_scalar(orch_args.scalar(0));
    rt_submit_aiv_task(FUNC_WAIT_FOR_FLAG, args);
    set_tensor_data<uint64_t>(made, 1, FIRST, 5);
}

// Tasks that write the output sixteen times each, all in one scope.
// Arguments: out; tasks.
void crowded_map(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        Arg args;
        for (int part = 0; part < 16; ++part) args.add_output(out);
        args.add_scalar(uint64_t{7}, uint64_t{0});
        rt_submit_aiv_task(FUNC_FILL, args);
        if (rt_is_fatal()) return;
    }
}

// A kernel that throws, and then, when the run has failed for that, the orchestration's own error.
// Arguments: out.
void kernel_error_then_fatal(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    throws(out);
    (void)get_tensor_data(out, 1, FIRST);
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "the second error");
}

// The orchestration's own error, and then a kernel's, of which there can be none any more.
// Arguments: out.
void fatal_then_kernel_error(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "the first error");
    throws(out);
}

// Bad arguments, then an exception, then a scope too many: one run, three errors.
// Arguments: out.
void three_errors(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_scalar(1);
    args.add_inout(out);
    rt_submit_aiv_task(FUNC_FILL, args);
    rt_scope_begin();
    throw std::runtime_error("the second error");
}

// As many scopes as asked for, one in the other, with a task in each.
// Arguments: out; scopes beside the one around it all.
void deep_scopes(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        rt_scope_begin();
        append(out, out, i);
    }
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) rt_scope_end();
}

// A message of this many letters.
// Arguments: out; length.
void long_message(const ChipStorageTaskArgs &orch_args) {
    const std::string text(orch_args.scalar(0), 'x');
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%s", text.c_str());
}

// One task with this many of everything that an argument record holds.
// Arguments: out; tensors, scalars, explicit dependencies, dimensions of the tensors.
void counted_arguments(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    PTO2TaskId before = fill(out, 7);
    uint32_t shape[6] = {1, 1, 1, 1, 1, 1};
    Tensor one = part(out, 0, 1);
    if (orch_args.scalar(3) <= 5) {
        one = one.reshape(shape, static_cast<uint32_t>(orch_args.scalar(3)));
    } else {
        one.ndims = static_cast<uint32_t>(orch_args.scalar(3));
    }
    Arg args;
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) args.add_inout(one);
    for (uint64_t i = 0; i < orch_args.scalar(1); ++i) args.add_scalar(i);
    for (uint64_t i = 0; i < orch_args.scalar(2); ++i) args.add_dep(before);
    rt_submit_aiv_task(FUNC_COUNT, args);
}

}  // extern "C"
