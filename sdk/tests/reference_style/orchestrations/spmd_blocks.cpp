// Tasks of many blocks on whole clusters, some with a common start.
#include <stddef.h>
#include <stdint.h>

#include "pto_orchestration_api.h"

#define FUNC_SPMD_MIX_AIC 0
#define FUNC_SPMD_MIX_AIV0 1
#define FUNC_SPMD_MIX_AIV1 2

extern "C" {

__attribute__((visibility("default"))) PTO2OrchestrationConfig aicpu_orchestration_config(
    const ChipStorageTaskArgs &orch_args) {
    (void)orch_args;
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

static void submit_mix(Tensor &out, int16_t blocks, int64_t base_cl, bool sync_start) {
    MixedKernels mk;
    mk.aic_kernel_id = FUNC_SPMD_MIX_AIC;
    mk.aiv0_kernel_id = FUNC_SPMD_MIX_AIV0;
    mk.aiv1_kernel_id = FUNC_SPMD_MIX_AIV1;

    Arg args;
    args.add_inout(out);
    args.add_scalar(base_cl);
    args.launch_spec.set_block_num(blocks);
    args.launch_spec.set_require_sync_start(sync_start);
    rt_submit_task(mk, args);
}

__attribute__((visibility("default"))) void aicpu_orchestration_entry(
    const ChipStorageTaskArgs &orch_args) {
    Tensor ext_output = from_tensor_arg(orch_args.tensor(0));
    submit_mix(ext_output, 2, 0, false);
    submit_mix(ext_output, 8, 6, true);

    Arg args;
    for (int i = 0; i < 3; i++) {
        args.reset();
        args.add_inout(ext_output);
        args.add_scalar(static_cast<int64_t>(30 + i), orch_args.scalar(0));
        args.launch_spec.set_core_num(static_cast<int16_t>(4 * (i + 1)));
        MixedKernels two = {.aic_kernel_id = FUNC_SPMD_MIX_AIC,
                            .aiv0_kernel_id = FUNC_SPMD_MIX_AIV0,
                            .aiv1_kernel_id = INVALID_KERNEL_ID};
        rt_submit_task(two, args);
        LOG_INFO_V9("[spmd] %d blocks, %d cores, sync %d", args.launch_spec.block_num(),
                    args.launch_spec.core_num(), args.launch_spec.require_sync_start());
    }
}

}  // extern "C"
