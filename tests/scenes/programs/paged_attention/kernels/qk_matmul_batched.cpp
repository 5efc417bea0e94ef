// scores = queries x keys^T for one block of each of several batch entries, on a cube core.
// Arguments: queries [entries, heads, head_dim], key cache, block table, context lengths; scores,
// dense [entries, heads, block_size]; first batch entry; number of the block.
#include "block_products.h"
#include "paged_cache.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *query = tensor_argument(args, 0);
    const __gm__ Tensor *cache = tensor_argument(args, 1);
    const uint32_t n = static_cast<uint32_t>(args[6]);
    for (uint32_t i = 0; i < query->shapes[0]; ++i) {
        const uint32_t batch = static_cast<uint32_t>(args[5]) + i;
        const uint32_t valid =
            valid_positions(tensor_argument(args, 3), batch, n, cache->shapes[1]);
        const Rows keys = cache_block(cache, tensor_argument(args, 2), batch, n, valid);
        const Rows scores = entry_rows(tensor_argument(args, 4), i);
        const Queries queries(entry_rows(query, i));
        score_block(queries, keys, scores.elements<float>(), scores.pitch);
    }
}
