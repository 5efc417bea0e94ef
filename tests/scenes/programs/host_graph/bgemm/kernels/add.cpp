// sum += product for one tile, on a vector core.
// Words: product, dense; sum, its pitch; side of a tile. All float32.
#include "host_graph/tiles.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t side = word_at<uint32_t>(args, 3);
    const Tile product = tile_at(args, 0, side, side);
    const Tile sum = tile_at(args, 1, word_at<uint64_t>(args, 2), side);
    for (uint32_t i = 0; i < side; ++i) add_scaled_row(sum.row(i), 1.0f, product.row(i), side);
}
