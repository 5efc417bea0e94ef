// Waves of short tasks of all three shapes. A gate before each wave makes all its tasks ready at
// the same moment, so that every thread that schedules takes from and gives to the same queues.
// Arguments: cells: uint64 [5 per group]; waves.
#include "cells/cells.h"

#define FUNC_CUBE 3
#define FUNC_VECTOR 4

namespace {

void step(const Tensor &cells, uint64_t wave, bool has_cube, bool has_vector) {
    MixedKernels kernels;
    if (has_cube) kernels.aic_kernel_id = FUNC_CUBE;
    if (has_vector) kernels.aiv0_kernel_id = FUNC_VECTOR;
    if (has_cube && has_vector) kernels.aiv1_kernel_id = FUNC_VECTOR;
    Arg args;
    args.add_inout(cells);
    args.add_scalar(wave);
    rt_submit_task(kernels, args);
}
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor cells = from_tensor_arg(orch_args.tensor(0));
    const uint32_t groups = cells.shapes[0] / 5;
    for (uint64_t wave = 0; wave < orch_args.scalar(0); ++wave) {
        PTO2_SCOPE() {
            // cell = 3 * cell + 1 everywhere, as one task: the gate.
            TaskOutputTensors one = fill_new(1, 1);
            append(one.get_ref(0), cells, 0);
            for (uint32_t i = 0; i < groups; ++i) {
                Tensor mixed = cells_of(cells, 5 * i, 3);
                Tensor cube = cells_of(cells, 5 * i + 3, 1);
                Tensor vector = cells_of(cells, 5 * i + 4, 1);
                step(mixed, wave, true, true);
                step(cube, wave, true, false);
                step(vector, wave, false, true);
            }
        }
    }
}
