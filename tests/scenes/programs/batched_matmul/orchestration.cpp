// C += A x B for a batch of matrices in tiles: for each tile of C and each step along the inner
// dimension one cube task for the product and one vector task that adds it. A scope holds a group
// of tiles of C; products live as long as their group.
#include <algorithm>

#include "pto_orchestration_api.h"

#define FUNC_MATMUL 0
#define FUNC_ADD 1

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 5};
}

// The tile at (row, column) of one matrix of a batch.
static Tensor tile_of(const Tensor &matrices, uint32_t batch, uint32_t row, uint32_t column,
                      uint32_t tile) {
    const uint32_t shape[3] = {1, tile, tile};
    const uint32_t corner[3] = {batch, row * tile, column * tile};
    return matrices.view(shape, corner);
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor c = from_tensor_arg(orch_args.tensor(2));
    const uint32_t tile = static_cast<uint32_t>(orch_args.scalar(0));
    const uint32_t group = static_cast<uint32_t>(orch_args.scalar(1));
    const uint32_t rows = c.shapes[1] / tile;
    const uint32_t columns = c.shapes[2] / tile;
    const uint32_t depth = a.shapes[2] / tile;
    const uint32_t tiles = c.shapes[0] * rows * columns;
    LOG_INFO_V0("batched_matmul: %u tiles, %u products each, %u to a group", tiles, depth, group);

    const uint32_t product_shape[2] = {tile, tile};
    TensorCreateInfo product_info(product_shape, 2, DataType::FLOAT32);
    for (uint32_t first = 0; first < tiles; first += group) {
        PTO2_SCOPE() {
            for (uint32_t k = 0; k < depth; ++k) {
                for (uint32_t t = first; t < std::min(first + group, tiles); ++t) {
                    const uint32_t batch = t / (rows * columns);
                    const uint32_t row = t / columns % rows;
                    const uint32_t column = t % columns;
                    Tensor a_tile = tile_of(a, batch, row, k, tile);
                    Tensor b_tile = tile_of(b, batch, k, column, tile);
                    Tensor c_tile = tile_of(c, batch, row, column, tile);

                    Arg matmul;
                    matmul.add_input(a_tile, b_tile);
                    matmul.add_output(product_info);
                    TaskOutputTensors product = rt_submit_aic_task(FUNC_MATMUL, matmul);
                    if (product.empty()) return;

                    Arg add;
                    add.add_input(product.get_ref(0));
                    add.add_inout(c_tile);
                    rt_submit_aiv_task(FUNC_ADD, add);
                }
            }
        }
    }
}
