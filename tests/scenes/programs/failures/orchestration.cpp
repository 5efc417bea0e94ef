// Orchestrations that end a run themselves, and kernels that take long.
#include "cells/cells.h"

namespace {
// Not every message is known when the code is written.
[[noreturn]] void fail(uint64_t tile) {
    throw std::runtime_error("no such tile: " + std::to_string(tile));
}

struct Witness {
    explicit Witness(const Tensor &out) : out_(out) {}
    // Runs on the way out of the exception: it must find a runtime that still answers.
    ~Witness() { fill(out_, 99); }
    const Tensor &out_;
};
}  // namespace

extern "C" {

// Reports a fatal error if the first scalar says so; every call after that is a no-op, even on
// memory that is not there. Without kernels.
// Arguments: out: uint64 [2]; whether to fail.
void fatal(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const uint32_t first[1] = {0};
    TensorCreateInfo info = cells_info(4);
    TaskOutputTensors before = alloc_tensors(info);
    if (before.size() != 1) throw std::logic_error("the allocation before the report failed");
    if (orch_args.scalar(0) == 0) {
        set_tensor_data(out, 1, first, uint64_t{5});
        return;
    }
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "tile %d of %s is odd", 7, "the left");
    Arg nothing;
    TaskOutputTensors after = alloc_tensors(nothing);
    TaskOutputTensors task = rt_submit_aiv_task(FUNC_FILL, nothing);
    const uint32_t shape[1] = {1};
    Tensor wild = make_tensor_external(reinterpret_cast<void *>(uintptr_t{1}), shape, 1,
                                       DataType::UINT64);
    const uint64_t read = get_tensor_data(wild, 1, first);
    set_tensor_data(wild, 1, first, uint64_t{1});
    rt_scope_begin();
    rt_scope_end();
    rt_scope_end();
    rt_scope_end();
    if (!rt_is_fatal() || !after.empty() || !task.empty() || read != 0) {
        // After a report an exception would not count; the end of the process does.
        std::abort();
    }
}

// Throws out of an inner scope, with tasks in flight, or does not.
// Arguments: out: uint64 [2]; 0 not, 1 an exception with a text, 2 a number.
void exception(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t i = 0; i < 10; ++i) fill(out, i, 100);
    if (orch_args.scalar(0) == 0) return;
    PTO2_SCOPE() {
        Witness witness(out);
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
            fill(out, 50, 100);
            if (orch_args.scalar(0) == 2) throw 42;
            fail(orch_args.scalar(0) + 2);
        }
    }
}

// One kernel that takes long, short ones beside it, and one that waits for it.
// Arguments: cells: uint64; microseconds.
void long_kernel(const ChipStorageTaskArgs &orch_args) {
    Tensor cells = from_tensor_arg(orch_args.tensor(0));
    Tensor slow = cells_of(cells, 0, 1);
    fill(slow, 1000, orch_args.scalar(0));
    for (uint32_t i = 1; i < cells.shapes[0]; ++i) {
        Tensor quick = cells_of(cells, i, 1);
        fill(quick, i);
        append(quick, quick, 0);
    }
    append(slow, slow, 0);
}

}  // extern "C"
