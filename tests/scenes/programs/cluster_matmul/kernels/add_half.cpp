// Adds one half of the rows of the product, on a vector core of a cluster: core 0 the upper half,
// core 1 the lower. Writes NaN where the product of another task, or none, comes out of the pipe.
// Arguments: a, b (not used here), c: float32 views; number of the product.
#include <limits>

#include "product_pipe.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t half = cluster_pipe::sub_block_id();
    ProductPipe *pipe = ProductPipe::of_cluster(PRODUCT_FLAG);
    const Product *slot = pipe->front(half);
    const bool good = slot != nullptr && slot->number == static_cast<uint32_t>(args[3]);
    const float factor = good ? 1.0f : std::numeric_limits<float>::quiet_NaN();
    const Tile sum = tile_argument(args, 2);
    for (uint32_t i = half * TILE / 2; i < (half + 1) * TILE / 2; ++i) {
        add_scaled_row(sum.row(i), factor, slot != nullptr ? slot->elements[i] : sum.row(i), TILE);
    }
    if (slot != nullptr) pipe->pop(half);
}
