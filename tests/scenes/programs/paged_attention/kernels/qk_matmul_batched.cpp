// scores = queries x keys^T for one block of each of several batch entries, on a cube core.
// Arguments: queries [entries, heads, head_dim], key cache, block table, context lengths; scores,
// dense [entries, heads, block_size]; first batch entry; number of the block.
#include "block_products.h"
#include "paged_cache.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *query = tensor_argument(args, 0);
    const __gm__ Tensor *cache = tensor_argument(args, 1);
    const __gm__ Tensor *scores = tensor_argument(args, 4);
    const uint32_t first = static_cast<uint32_t>(args[5]);
    const uint32_t n = static_cast<uint32_t>(args[6]);
    const uint32_t heads = query->shapes[1];
    const uint32_t columns = query->shapes[2];
    const uint32_t block_size = cache->shapes[1];
    for (uint32_t i = 0; i < query->shapes[0]; ++i) {
        const uint32_t valid = valid_positions(tensor_argument(args, 3), first + i, n, block_size);
        Tensor key_view = *cache;
        const Rows keys = cache_block(cache, tensor_argument(args, 2), first + i, n, valid, key_view);
        Tensor query_view = *query;
        query_view.start_offset += uint64_t{i} * heads * columns;
        const Queries queries(Rows{&query_view, columns, heads, columns});
        score_block(queries, keys, first_element<float>(scores) + uint64_t{i} * heads * block_size,
                    block_size);
    }
}
