// C += A x B in tiles of 64 x 64: for each tile of C, one cube task a product, one vector task an
// addition. The products of a tile are independent; its additions are ordered, since each reads and
// writes the same view of C. Tiles of C are independent of each other.
#include "pto_orchestration_api.h"

#define FUNC_MATMUL_TILE 0
#define FUNC_ACCUMULATE 1

static constexpr uint32_t TILE = 64;

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

static Tensor tile_of(const Tensor &matrix, uint32_t row, uint32_t column) {
    const uint32_t shape[2] = {TILE, TILE};
    const uint32_t corner[2] = {row * TILE, column * TILE};
    return matrix.view(shape, corner);
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor c = from_tensor_arg(orch_args.tensor(2));
    const uint32_t rows = c.shapes[0] / TILE;
    const uint32_t columns = c.shapes[1] / TILE;
    const uint32_t depth = a.shapes[1] / TILE;
    const bool fits = c.shapes[0] % TILE == 0 && c.shapes[1] % TILE == 0 && a.shapes[1] % TILE == 0;
    if (!fits || a.shapes[0] != c.shapes[0] || b.shapes[0] != a.shapes[1] ||
        b.shapes[1] != c.shapes[1]) {
        rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "shapes do not fit, or not in tiles of %u", TILE);
        return;
    }
    LOG_INFO_V0("tiled_matmul: %u x %u x %u tiles", rows, columns, depth);

    const uint32_t product_shape[2] = {TILE, TILE};
    TensorCreateInfo product_info(product_shape, 2, DataType::FLOAT32);
    for (uint32_t i = 0; i < rows; ++i) {
        for (uint32_t j = 0; j < columns; ++j) {
            // The products of a tile are released together, when its scope ends.
            PTO2_SCOPE() {
                Tensor c_tile = tile_of(c, i, j);
                for (uint32_t k = 0; k < depth; ++k) {
                    Tensor a_tile = tile_of(a, i, k);
                    Tensor b_tile = tile_of(b, k, j);

                    Arg multiply;
                    multiply.add_input(a_tile, b_tile);
                    multiply.add_output(product_info);
                    TaskOutputTensors product = rt_submit_aic_task(FUNC_MATMUL_TILE, multiply);
                    if (rt_is_fatal()) return;

                    Arg accumulate;
                    accumulate.add_input(product.get_ref(0));
                    accumulate.add_inout(c_tile);
                    rt_submit_aiv_task(FUNC_ACCUMULATE, accumulate);
                }
            }
        }
    }
}
