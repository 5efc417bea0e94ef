// sum += product for one tile, on a vector core.
// Arguments: product: float32, dense; sum: float32 view.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "tensor.h"
#include "tile.h"

static inline __aicore__ void add_row(__gm__ float *__restrict__ sum,
                                      const __gm__ float *__restrict__ row, uint32_t columns) {
    uint64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
        for (uint32_t lane = 0; lane < LANES; ++lane) sum[j + lane] += row[j + lane];
    }
    for (; j < columns; ++j) sum[j] += row[j];
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Tile product = tile_argument(args, 0);
    const Tile sum = tile_argument(args, 1);
    for (uint32_t i = 0; i < sum.rows; ++i) {
        add_row(sum.first + i * sum.pitch, product.first + i * product.pitch, sum.columns);
    }
}
