// product = a x b for one tile, on a cube core.
// Words: a, its pitch, b, its pitch, product, side of a tile. All float32; the product is dense.
#include "host_graph/tiles.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t side = word_at<uint32_t>(args, 5);
    multiply(tile_at(args, 0, word_at<uint64_t>(args, 1), side),
             tile_at(args, 2, word_at<uint64_t>(args, 3), side), tile_at(args, 4, side, side));
}
