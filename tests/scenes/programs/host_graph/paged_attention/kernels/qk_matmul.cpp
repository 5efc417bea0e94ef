// scores = queries x keys^T for one block of keys, on a cube core.
// Words: queries, keys; scores: float32; heads, head_dim, positions; whether queries and keys are
// bfloat16 and not float32. All dense.
#include "paged_attention/kernels/block_products.h"
#include "row_words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t heads = word_at<uint32_t>(args, 3);
    const uint32_t columns = word_at<uint32_t>(args, 4);
    const uint32_t positions = word_at<uint32_t>(args, 5);
    const bool is_bfloat16 = args[6] != 0;
    const Queries queries(rows_at(args, 0, heads, columns, is_bfloat16));
    const Rows keys = rows_at(args, 1, positions, columns, is_bfloat16);
    score_block(queries, keys, memory_at<float>(args, 2), positions);
}
