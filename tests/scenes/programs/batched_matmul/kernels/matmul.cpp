// product = a x b for one tile, on a cube core.
// Arguments: a, b: float32 views; product: float32, dense.
#include "tile.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    multiply(tile_argument(args, 0), tile_argument(args, 1), tile_argument(args, 2));
}
