// Tasks of every shape, several times over: first the five of the reference, cube with both vector
// cores, cube, one vector core, both vector cores, cube with one vector core; then what else a
// MixedKernels can have: only the second vector core, cube with the second, and the two vector
// cores with one kernel. Each task has three lines of its own.
// Arguments: out: float32; iterations, whether tasks share the whole tensor and so wait in line.
#include "pto_orchestration_api.h"

#define FUNC_CUBE 0
#define FUNC_FIRST 1
#define FUNC_SECOND 2
#define FUNC_BOTH 3

namespace {
constexpr int32_t NONE = INVALID_KERNEL_ID;
constexpr int32_t SHAPES[9][3] = {
    {FUNC_CUBE, FUNC_FIRST, FUNC_SECOND},
    {FUNC_CUBE, NONE, NONE},
    {NONE, FUNC_FIRST, NONE},
    {NONE, FUNC_FIRST, FUNC_SECOND},
    {FUNC_CUBE, FUNC_FIRST, NONE},
    {NONE, NONE, FUNC_SECOND},
    {FUNC_CUBE, NONE, FUNC_SECOND},
    {NONE, FUNC_BOTH, FUNC_BOTH},
    {FUNC_CUBE, FUNC_BOTH, FUNC_BOTH},
};
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const bool in_line = orch_args.scalar(1) != 0;
    uint64_t line = 0;
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        for (const auto &shape : SHAPES) {
            MixedKernels kernels;
            kernels.aic_kernel_id = shape[0];
            kernels.aiv0_kernel_id = shape[1];
            kernels.aiv1_kernel_id = shape[2];
            const uint32_t own_shape[1] = {48};
            const uint32_t own_offset[1] = {static_cast<uint32_t>(line * 16)};
            Tensor own = out.view(own_shape, own_offset);
            Arg args;
            args.add_inout(in_line ? out : own);
            const int cores = (shape[0] != NONE) + (shape[1] != NONE) + (shape[2] != NONE);
            args.add_scalar(in_line ? line : uint64_t{0}, static_cast<float>(i + 1), cores > 1);
            rt_submit_task(kernels, args);
            line += 3;
        }
    }
}
