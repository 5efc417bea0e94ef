// Does what the input says: a graph that a test has made up.
//
// A step is ten words: what, two numbers, how many earlier tensors it uses, and which. Tensors of
// closed scopes are forgotten.
// Arguments: steps, state; number of steps.
#include "cells.h"

#define FUNC_MIX_CELLS 0

namespace {
enum What : uint64_t { BEGIN, END, MAKE, CHANGE, ALLOCATE, READ };

struct Step {
    uint64_t what, first, count, uses, used[6];
};

struct Machine {
    Tensor state;
    std::vector<Tensor> made{};
    std::vector<size_t> scopes{};
    PTO2TaskId last = PTO2TaskId::invalid();
    uint64_t carried = 0;

    void add_inputs(Arg &args, const Step &step) {
        for (uint64_t i = 0; i < step.uses; ++i) args.add_input(made[step.used[i]]);
    }

    // Returns whether to go on.
    bool take(const Step &step, uint64_t number) {
        TensorCreateInfo info = cells(static_cast<uint32_t>(step.count));
        info.set_initial_value<uint64_t>(5);
        const uint64_t pause = number % 7 == 0 ? LINGER / 5 : 0;
        Arg args;
        if (step.what == BEGIN) {
            scopes.push_back(made.size());
            rt_scope_begin();
        } else if (step.what == END) {
            made.resize(scopes.back(), state);
            scopes.pop_back();
            rt_scope_end();
        } else if (step.what == READ) {
            const uint32_t first[1] = {0};
            carried = get_tensor_data(made[step.used[0]], 1, first);
        } else if (step.what == ALLOCATE) {
            keep(alloc_tensors(info));
        } else {
            Tensor part = state;
            add_inputs(args, step);
            if (step.what == MAKE) {
                args.add_output(info);
            } else {
                part = ::part(state, static_cast<uint32_t>(step.first),
                              static_cast<uint32_t>(step.count));
                args.add_inout(part);
            }
            args.add_scalar(step.uses, number + carried, pause);
            if (last.is_valid() && number % 3 == 0) args.add_dep(last);
            keep(rt_submit_aiv_task(FUNC_MIX_CELLS, args));
        }
        return !rt_is_fatal();
    }

    void keep(const TaskOutputTensors &outputs) {
        last = outputs.task_id();
        if (!outputs.empty()) made.push_back(outputs.get_ref(0));
    }
};
}  // namespace

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

void interpret(const ChipStorageTaskArgs &orch_args) {
    const auto *steps = orch_args.tensor(0).data_as<Step>();
    Machine machine{from_tensor_arg(orch_args.tensor(1))};
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        if (!machine.take(steps[i], i)) return;
    }
}

}  // extern "C"
