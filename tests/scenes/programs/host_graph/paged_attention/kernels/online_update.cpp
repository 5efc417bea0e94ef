// Merges a block into the rows accumulated so far; the last block divides, on a vector core.
// Words: maxima, sums, rows of the block; maxima, sums, rows accumulated; out: float32; whether it is
// the first block (what is accumulated is then not read), whether it is the last; heads, head_dim.
// All dense.
#include "paged_attention/kernels/softmax.h"
#include "row_words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const bool is_first = args[7] != 0;
    const bool is_last = args[8] != 0;
    const uint32_t heads = word_at<uint32_t>(args, 9);
    const uint32_t columns = word_at<uint32_t>(args, 10);
    __gm__ float *maxima = memory_at<float>(args, 3);
    __gm__ float *sums = memory_at<float>(args, 4);
    for (uint32_t i = 0; i < heads; ++i) {
        const RowState part{memory_at<float>(args, 0)[i], memory_at<float>(args, 1)[i]};
        const __gm__ float *part_row = memory_at<float>(args, 2) + uint64_t{i} * columns;
        __gm__ float *row = memory_at<float>(args, 5) + uint64_t{i} * columns;
        RowState state = EMPTY_ROW;
        if (is_first) {
            std::memset(row, 0, sizeof(float) * columns);
        } else {
            state = RowState{maxima[i], sums[i]};
        }
        merge_row(state, row, part, part_row, columns);
        maxima[i] = state.maximum;
        sums[i] = state.sum;
        __gm__ float *out = memory_at<float>(args, 6) + uint64_t{i} * columns;
        if (is_last) normalise_row(out, row, state.sum, columns);
    }
}
