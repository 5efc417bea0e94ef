// Orchestrations that are wrong, each in one way.
#include "cells.h"

namespace {
// A task that writes the output, so that a run that fails later has something to spoil.
Tensor spoil(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 666);
    return out;
}
}  // namespace

// Functions that the compiler leaves as they are, for exceptions to come through.
[[gnu::noinline]] static void divide_tile(uint64_t parts) {
    if (parts == 0) throw std::runtime_error("no parts");
}

[[gnu::noinline]] static void make_tiles(uint64_t parts) {
    divide_tile(parts);
    asm volatile("");
}

[[gnu::noinline]] static void descend(uint64_t depth) {
    if (depth == 0) throw std::runtime_error("at the bottom");
    descend(depth - 1);
    asm volatile("" ::: "memory");
}

[[gnu::noinline]] static const Tensor &second_output(const TaskOutputTensors &outs) {
    return outs.get_ref(1);
}

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

PTO2OrchestrationConfig expects_three(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

PTO2OrchestrationConfig config_throws(const ChipStorageTaskArgs &) {
    throw std::runtime_error("no configuration");
}

void spoils(const ChipStorageTaskArgs &orch_args) { spoil(orch_args); }

void missing_kernel(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    rt_submit_aiv_task(17, args);
}

void impossible_kernel(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    rt_submit_aiv_task(1024, args);
}

void no_kernel(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    rt_submit_task(MixedKernels{}, args);
}

void fatal(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "tile %d of %s is odd", 7, "the left");
}

void own_fatal(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    rt_report_fatal(4711, "a number of its own");
}

void throws_deep(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    make_tiles(0);
}

void throws_deepest(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    descend(100);
}

void throws_after_catching(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    try {
        make_tiles(0);
    } catch (const std::runtime_error &error) {
        throw std::runtime_error(std::string("after ") + error.what());
    }
}

// An assertion of the headers, in a function of the orchestration's own.
void asserts_deep(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    const TaskOutputTensors none{};
    if (second_output(none).ndims == 77) rt_scope_begin();
}

void throws_error(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    throw std::runtime_error("no such tile");
}

void throws_number(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    throw 42;
}

void throws_in_scope(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    PTO2_SCOPE() {
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
            fill(out, 1);
            throw std::string("three scopes deep");
        }
    }
}

void asserts(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    args.add_scalar(uint64_t{1}, uint64_t{0});
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_FILL, args);
    (void)outs.get_ref(0);
}

void asserts_after_fatal(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%s", "the first cause");
    fill_new(4, 1);
}

void kernel_throws(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    rt_submit_aiv_task(5, args);
    fill(out, 1);
}

void too_many_tensors(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    for (int i = 0; i < 17; ++i) args.add_inout(out);
    rt_submit_aiv_task(FUNC_FILL, args);
}

void tensor_after_scalar(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_scalar(1);
    args.add_inout(out);
    rt_submit_aiv_task(FUNC_FILL, args);
}

void invalid_dependency(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    args.add_dep(PTO2TaskId::invalid());
    rt_submit_aiv_task(FUNC_FILL, args);
}

void automatic_in_manual(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_begin(PTO2ScopeMode::AUTO);
}

void open_scopes(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    rt_scope_begin();
    rt_scope_begin();
}

void closes_too_much(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    rt_scope_end();
    rt_scope_end();
}

void no_blocks(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    args.launch_spec.set_block_num(0);
    rt_submit_aiv_task(FUNC_FILL, args);
}

void too_many_at_once(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    Arg args;
    args.add_inout(out);
    args.add_scalar(uint64_t{1}, uint64_t{0});
    args.launch_spec.set_block_num(49);
    args.launch_spec.set_require_sync_start(true);
    rt_submit_aiv_task(FUNC_FILL, args);
}

void element_outside(const ChipStorageTaskArgs &orch_args) {
    Tensor out = spoil(orch_args);
    const uint32_t at[1] = {1000};
    set_tensor_data<uint64_t>(out, 1, at, 1);
}

// One task whose kernel waits for a flag.
// Arguments: out; address of the flag.
void waits_for_flag(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_inout(out);
    args.add_scalar(orch_args.scalar(0));
    rt_submit_aiv_task(6, args);
}

// Waits for the flag itself, after a task that is soon done.
// Arguments: out; address of the flag.
void spins(const ChipStorageTaskArgs &orch_args) {
    spoil(orch_args);
    auto *flag = reinterpret_cast<std::atomic<uint32_t> *>(orch_args.scalar(0));
    while (flag->load() == 0) {
    }
}

}  // extern "C"
