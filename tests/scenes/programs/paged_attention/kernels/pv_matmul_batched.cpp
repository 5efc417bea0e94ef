// sums = weights x values for one block of each of several batch entries, on a cube core.
// Arguments: weights [entries, heads, block_size], value cache, block table, context lengths; sums,
// dense [entries, heads, head_dim]; first batch entry; number of the block.
#include "block_products.h"
#include "paged_cache.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *weights = tensor_argument(args, 0);
    const __gm__ Tensor *cache = tensor_argument(args, 1);
    const __gm__ Tensor *sums = tensor_argument(args, 4);
    const uint64_t sums_of_entry = uint64_t{sums->shapes[1]} * sums->shapes[2];
    const uint32_t first = static_cast<uint32_t>(args[5]);
    const uint32_t n = static_cast<uint32_t>(args[6]);
    std::memset(first_element<float>(sums), 0, sizeof(float) * sums->shapes[0] * sums_of_entry);
    for (uint32_t i = 0; i < weights->shapes[0]; ++i) {
        const uint32_t valid =
            valid_positions(tensor_argument(args, 3), first + i, n, cache->shapes[1]);
        const Rows values = cache_block(cache, tensor_argument(args, 2), first + i, n, valid);
        __gm__ float *rows = first_element<float>(sums) + i * sums_of_entry;
        add_weighted_values(entry_rows(weights, i), 0, values, rows);
    }
}
