// sums = weights x values for one block of values, on a cube core.
// Words: weights, values; sums: float32; heads, head_dim, positions; whether weights and values are
// bfloat16 and not float32. All dense.
#include "paged_attention/kernels/block_products.h"
#include "row_words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t heads = word_at<uint32_t>(args, 3);
    const uint32_t columns = word_at<uint32_t>(args, 4);
    const uint32_t positions = word_at<uint32_t>(args, 5);
    const bool is_bfloat16 = args[6] != 0;
    const Rows weights = rows_at(args, 0, heads, positions, is_bfloat16);
    const Rows values = rows_at(args, 1, positions, columns, is_bfloat16);
    __gm__ float *sums = memory_at<float>(args, 2);
    std::memset(sums, 0, sizeof(float) * heads * columns);
    add_weighted_values(weights, 0, values, sums);
}
