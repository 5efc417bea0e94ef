// As many arguments as there can be: 64 tensors and 128 scalars of the run, in tasks of 16
// tensors and 32 scalars each. The scalars are added in the three ways there are.
// Arguments: 63 inputs, out: uint64 [1]; 128 scalars.
#include "pto_orchestration_api.h"

#define FUNC_COMBINE 0

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 192};
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(63));
    for (int32_t task = 0; task < 4; ++task) {
        std::vector<Tensor> inputs;
        for (int32_t i = 0; i < 15; ++i) {
            // Tensors 15, 31 and 47 are left to a task of their own below.
            inputs.push_back(from_tensor_arg(orch_args.tensor(16 * task + i)));
        }
        Arg args;
        for (const Tensor &input : inputs) args.add_input(input);
        args.add_inout(out);
        const uint64_t *scalars = orch_args.scalars() + 32 * task;
        if (task == 0) {
            for (int32_t j = 0; j < 32; ++j) args.add_scalar(scalars[j]);
        } else if (task == 1) {
            args.add_scalars(scalars, 32);
        } else if (task == 2) {
            int32_t words[32];
            for (int32_t j = 0; j < 32; ++j) words[j] = static_cast<int32_t>(scalars[j]);
            args.add_scalars_i32(words, 32);
        } else {
            Arg source;
            source.add_scalars(scalars, 32);
            args.copy_scalars_from(source, 0, 20);
            args.copy_scalars_from(source, 20, 12);
        }
        rt_submit_aiv_task(FUNC_COMBINE, args);
    }
    Tensor rest[3] = {from_tensor_arg(orch_args.tensor(15)), from_tensor_arg(orch_args.tensor(31)),
                      from_tensor_arg(orch_args.tensor(47))};
    Arg args;
    for (int32_t i = 0; i < 15; ++i) args.add_input(rest[i % 3]);
    args.add_inout(out);
    for (int32_t j = 0; j < 32; ++j) args.add_scalar(uint8_t{0});
    rt_submit_aiv_task(FUNC_COMBINE, args);
}
