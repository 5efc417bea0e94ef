// sum += product for one tile, on a vector core.
// Arguments: product: float32, dense; sum: float32 view.
#include "tile.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Tile product = tile_argument(args, 0);
    const Tile sum = tile_argument(args, 1);
    for (uint32_t i = 0; i < sum.rows; ++i) {
        add_scaled_row(sum.row(i), 1.0f, product.row(i), sum.columns);
    }
}
