// sums = weights x values for one block of each of several batch entries, on a cube core.
// Arguments: weights [entries, heads, block_size], value cache, block table, context lengths; sums,
// dense [entries, heads, head_dim]; first batch entry; number of the block.
#include "block_products.h"
#include "paged_cache.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *weights = tensor_argument(args, 0);
    const __gm__ Tensor *cache = tensor_argument(args, 1);
    const __gm__ Tensor *sums = tensor_argument(args, 4);
    const uint32_t first = static_cast<uint32_t>(args[5]);
    const uint32_t n = static_cast<uint32_t>(args[6]);
    const uint32_t heads = weights->shapes[1];
    const uint32_t block_size = weights->shapes[2];
    const uint32_t columns = cache->shapes[2];
    for (uint32_t i = 0; i < weights->shapes[0]; ++i) {
        const uint32_t valid = valid_positions(tensor_argument(args, 3), first + i, n, block_size);
        Tensor value_view = *cache;
        const Rows values = cache_block(cache, tensor_argument(args, 2), first + i, n, valid, value_view);
        Tensor weight_view = *weights;
        weight_view.start_offset += uint64_t{i} * heads * block_size;
        __gm__ float *rows = first_element<float>(sums) + uint64_t{i} * heads * columns;
        std::memset(rows, 0, sizeof(float) * heads * columns);
        add_weighted_values(Rows{&weight_view, block_size, heads, block_size}, 0, values, rows);
    }
}
