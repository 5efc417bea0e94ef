// Tasks of many blocks; the scalars say which.
#include "pto_orchestration_api.h"

#define FUNC_CUBE 0
#define FUNC_VECTOR 1

// Each chip has a name of its own for it (spec trb §11).
static void set_blocks(Arg &args, uint64_t count) {
#ifdef SIMPLER_CHIP_A5
    args.launch_spec.set_core_num(static_cast<int16_t>(count));
#else
    args.launch_spec.set_block_num(static_cast<int16_t>(count));
#endif
}

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

// One task for each scalar after the first: bits 0 to 15 blocks, bit 16 whole clusters instead of
// vector cores, bit 17 common start. The lines of a task follow those of the one before.
// Arguments: out: float32; whether tasks use their own part of it only, then the tasks.
void blocks(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const bool apart = orch_args.scalar(0) != 0;
    uint32_t line = 0;
    for (int32_t i = 1; i < orch_args.scalar_count(); ++i) {
        const uint64_t task = orch_args.scalar(i);
        const uint32_t count = task & 0xFFFF;
        const bool whole = (task >> 16 & 1) != 0;
        const uint32_t lines_per_block = whole ? 3 : 1;
        const uint32_t shape[1] = {count * lines_per_block * 16};
        const uint32_t offset[1] = {line * 16};
        Tensor own = out.view(shape, offset);

        MixedKernels kernels;
        if (whole) kernels.aic_kernel_id = FUNC_CUBE;
        kernels.aiv0_kernel_id = FUNC_VECTOR;
        if (whole) kernels.aiv1_kernel_id = FUNC_VECTOR;
        Arg args;
        args.add_inout(apart ? own : out);
        args.add_scalar(apart ? uint64_t{0} : uint64_t{line}, uint64_t{lines_per_block});
        set_blocks(args, count);
        args.launch_spec.set_require_sync_start((task >> 17 & 1) != 0);
        rt_submit_task(kernels, args);
        line += count * lines_per_block;
    }
}

// One task on whole clusters with scalars of four types.
// Arguments: out; blocks.
void described(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    MixedKernels kernels;
    kernels.aic_kernel_id = FUNC_CUBE;
    kernels.aiv0_kernel_id = FUNC_VECTOR;
    kernels.aiv1_kernel_id = FUNC_VECTOR;
    Arg args;
    args.add_inout(out);
    args.add_scalar(int32_t{-5}, 1.5f, ~uint64_t{0}, true);
    set_blocks(args, orch_args.scalar(0));
    rt_submit_task(kernels, args);
}

// Tasks with a common start whose blocks wait for one another, side by side with plain ones.
// Arguments: out; blocks of each task, addresses of the tasks' counters.
void meetings(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const uint64_t blocks = orch_args.scalar(0);
    for (int32_t i = 1; i < orch_args.scalar_count(); ++i) {
        const uint64_t first = blocks * static_cast<uint64_t>(i - 1);
        Arg args;
        args.add_no_dep(out);
        args.add_scalar(orch_args.scalar(i), blocks, first);
        set_blocks(args, blocks);
        args.launch_spec.set_require_sync_start(true);
        rt_submit_aiv_task(FUNC_VECTOR, args);
    }
}

}  // extern "C"
