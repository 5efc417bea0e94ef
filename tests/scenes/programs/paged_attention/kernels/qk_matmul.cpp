// scores = queries x keys^T for one block of keys, on a cube core.
// Arguments: queries, keys: bfloat16 or float32; scores: float32, dense.
#include "block_products.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Queries queries(rows_argument(args, 0));
    const Rows keys = rows_argument(args, 1);
    const Rows scores = rows_argument(args, 2);
    score_block(queries, keys, scores.elements<float>(), scores.pitch);
}
