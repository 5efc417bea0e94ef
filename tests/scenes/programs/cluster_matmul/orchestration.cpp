// C += A x B for a batch of matrices, one task on a whole cluster for each product of two tiles:
// the cube core multiplies and hands the product over, each vector core adds its half of the rows.
// The products of one tile of C follow one another, tiles of C are independent of each other.
#include "pto_orchestration_api.h"

#define FUNC_MULTIPLY 0
#define FUNC_ADD_HALF 1

static constexpr uint32_t TILE = 16;  // as in kernels/product_pipe.h

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

static Tensor tile_of(const Tensor &matrices, uint32_t batch, uint32_t row, uint32_t column) {
    const uint32_t shape[3] = {1, TILE, TILE};
    const uint32_t corner[3] = {batch, row * TILE, column * TILE};
    return matrices.view(shape, corner);
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor c = from_tensor_arg(orch_args.tensor(2));
    const uint32_t rows = c.shapes[1] / TILE;
    const uint32_t columns = c.shapes[2] / TILE;
    const uint32_t depth = a.shapes[2] / TILE;

    MixedKernels kernels;
    kernels.aic_kernel_id = FUNC_MULTIPLY;
    kernels.aiv0_kernel_id = FUNC_ADD_HALF;
    kernels.aiv1_kernel_id = FUNC_ADD_HALF;
    uint32_t product = 0;
    for (uint32_t batch = 0; batch < c.shapes[0]; ++batch) {
        for (uint32_t i = 0; i < rows; ++i) {
            for (uint32_t j = 0; j < columns; ++j) {
                PTO2_SCOPE() {
                    Tensor c_tile = tile_of(c, batch, i, j);
                    for (uint32_t k = 0; k < depth; ++k) {
                        Tensor a_tile = tile_of(a, batch, i, k);
                        Tensor b_tile = tile_of(b, batch, k, j);
                        Arg args;
                        args.add_input(a_tile, b_tile);
                        args.add_inout(c_tile);
                        args.add_scalar(product++);
                        rt_submit_task(kernels, args);
                    }
                }
            }
        }
    }
}
