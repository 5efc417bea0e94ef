// product = a x b for one tile, on a cube core.
// Arguments: a, b: float32 views; product: float32, dense.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "tensor.h"
#include "tile.h"

// row += factor * other. Apart, so that the compiler knows the two do not overlap.
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
    const Tile a = tile_argument(args, 0);
    const Tile b = tile_argument(args, 1);
    const Tile product = tile_argument(args, 2);
    for (uint32_t i = 0; i < product.rows; ++i) {
        __gm__ float *row = product.first + i * product.pitch;
        for (uint32_t j = 0; j < product.columns; ++j) row[j] = 0.0f;
        // i-k-j: the innermost loop runs along rows of both b and the product.
        for (uint32_t k = 0; k < a.columns; ++k) {
            add_scaled_row(row, a.first[i * a.pitch + k], b.first + k * b.pitch, product.columns);
        }
    }
}
