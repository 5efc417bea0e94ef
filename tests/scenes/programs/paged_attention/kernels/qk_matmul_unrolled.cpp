// scores = queries x keys^T for up to four blocks of keys side by side, on a cube core.
// Arguments: queries, four views of keys (those beyond the count are not read): bfloat16 or
// float32; scores: float32, dense; number of blocks.
#include "block_products.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Queries queries(rows_argument(args, 0));
    const Rows scores = rows_argument(args, 5);
    const uint32_t blocks = static_cast<uint32_t>(args[6]);
    for (uint32_t n = 0; n < blocks; ++n) {
        const Rows keys = rows_argument(args, 1 + static_cast<int>(n));
        __gm__ float *first = scores.elements<float>() + n * keys.rows;
        score_block(queries, keys, first, scores.pitch);
    }
}
