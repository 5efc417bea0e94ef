// Weights of one block, relative to the block's own maximum, on a vector core.
// Words: scores: float32; weights; maxima, sums: float32, one for a head; scale: float32; positions
// of the block that are in the context; heads, positions; whether weights are bfloat16 and not
// float32. All dense.
#include "paged_attention/kernels/softmax.h"
#include "row_words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t heads = word_at<uint32_t>(args, 6);
    const uint32_t positions = word_at<uint32_t>(args, 7);
    const Rows scores = rows_at(args, 0, heads, positions, false);
    const Rows weights = rows_at(args, 1, heads, positions, args[8] != 0);
    float row[MAX_POSITIONS];
    for (uint32_t i = 0; i < heads; ++i) {
        scores.load(i, row);
        const RowState state =
            weigh_row(row, positions, word_at<uint32_t>(args, 5), word_at<float>(args, 4));
        weights.store(i, row);
        memory_at<float>(args, 2)[i] = state.maximum;
        memory_at<float>(args, 3)[i] = state.sum;
    }
}
