// Weights of one block of each of several batch entries, relative to the block's own maximum, on a
// vector core. Arguments: scores [entries, heads, block_size]: float32; context lengths; weights of
// the same shape: bfloat16 or float32; maxima, sums: float32, one for a row; scale: float32; first
// batch entry; number of the block.
#include "intrinsic.h"
#include "paged_cache.h"
#include "softmax.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *scores = tensor_argument(args, 0);
    const __gm__ Tensor *weights = tensor_argument(args, 2);
    __gm__ float *maxima = first_element<float>(tensor_argument(args, 3));
    __gm__ float *sums = first_element<float>(tensor_argument(args, 4));
    const float scale = from_u64<float>(static_cast<uint64_t>(args[5]));
    const uint32_t first = static_cast<uint32_t>(args[6]);
    const uint32_t n = static_cast<uint32_t>(args[7]);
    const uint32_t heads = scores->shapes[1];
    const uint32_t block_size = scores->shapes[2];
    const uint32_t rows = scores->shapes[0] * heads;
    const Rows score_rows = rows_of(scores, 0, block_size, rows, block_size);
    const Rows weight_rows = rows_of(weights, 0, block_size, rows, block_size);
    float row[MAX_POSITIONS];
    for (uint32_t i = 0; i < rows; ++i) {
        const uint32_t entry = first + i / heads;
        const uint32_t valid = valid_positions(tensor_argument(args, 1), entry, n, block_size);
        score_rows.load(i, row);
        const RowState state = weigh_row(row, block_size, valid, scale);
        weight_rows.store(i, row);
        maxima[i] = state.maximum;
        sums[i] = state.sum;
    }
}
