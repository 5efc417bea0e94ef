// product = a x b for this block's matrices, on the cube core of a cluster.
// Arguments: a, b, product, blend: float32 stacks; weight: not used here.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "stack.h"
#include "tensor.h"

static inline __aicore__ void add_scaled_row(__gm__ float *__restrict__ row, float factor,
                                             const __gm__ float *__restrict__ other,
                                             uint32_t columns) {
    uint64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
        for (uint32_t lane = 0; lane < LANES; ++lane) row[j + lane] += factor * other[j + lane];
    }
    for (; j < columns; ++j) row[j] += factor * other[j];
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Stack a = stack_argument(args, 0);
    const Stack b = stack_argument(args, 1);
    const Stack product = stack_argument(args, 2);
    const uint32_t stride = static_cast<uint32_t>(get_block_num(args));
    uint32_t matrix = static_cast<uint32_t>(get_block_idx(args));
    for (; matrix < product.matrices; matrix += stride) {
        for (uint32_t i = 0; i < product.side; ++i) {
            __gm__ float *row = product.row(matrix, i);
            for (uint32_t j = 0; j < product.side; ++j) row[j] = 0.0f;
            for (uint32_t k = 0; k < a.side; ++k) {
                add_scaled_row(row, a.row(matrix, i)[k], b.row(matrix, k), product.side);
            }
        }
    }
}
