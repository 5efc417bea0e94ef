// One task on whole clusters, several blocks: for each of the 32 x 32 matrices of a stack,
// the cube core multiplies a x b; vector core 0 blends the upper half of the rows, vector core 1
// the lower half. Blocks share the stack out among themselves; all parts written are disjoint.
#include "pto_orchestration_api.h"

#define FUNC_MULTIPLY 0
#define FUNC_BLEND 1

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 6};
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor product = from_tensor_arg(orch_args.tensor(2));
    Tensor blend = from_tensor_arg(orch_args.tensor(3));
    const int32_t blocks = from_u64<int32_t>(orch_args.scalar(0));
    if (blocks < 1 || blocks > 1024) {
        rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "%d blocks", blocks);
        return;
    }

    MixedKernels kernels;
    kernels.aic_kernel_id = FUNC_MULTIPLY;
    kernels.aiv0_kernel_id = FUNC_BLEND;
    kernels.aiv1_kernel_id = FUNC_BLEND;

    Arg args;
    args.add_input(a, b);
    args.add_output(product, blend);
    args.add_scalar(orch_args.scalar(1));  // weight, float32 bits
    args.launch_spec.set_block_num(static_cast<int16_t>(blocks));
    rt_submit_task(kernels, args);
}
