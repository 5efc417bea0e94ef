// Merges a block into the rows accumulated so far; the last block divides, on a vector core.
// Arguments: maxima, sums, rows of the block; maxima, sums, rows accumulated; out: float32; whether
// it is the first block (what is accumulated is then not read), whether it is the last.
#include "softmax.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *part_maxima = first_element<float>(tensor_argument(args, 0));
    const __gm__ float *part_sums = first_element<float>(tensor_argument(args, 1));
    const Rows part = rows_argument(args, 2);
    __gm__ float *maxima = first_element<float>(tensor_argument(args, 3));
    __gm__ float *sums = first_element<float>(tensor_argument(args, 4));
    const Rows rows = rows_argument(args, 5);
    const Rows out = rows_argument(args, 6);
    const bool is_first = args[7] != 0;
    const bool is_last = args[8] != 0;
    for (uint32_t i = 0; i < part.rows; ++i) {
        float row[MAX_HEAD_DIM] = {};
        float part_row[MAX_HEAD_DIM];
        RowState state = EMPTY_ROW;
        if (!is_first) {
            rows.load(i, row);
            state = RowState{maxima[i], sums[i]};
        }
        part.load(i, part_row);
        merge_row(state, row, RowState{part_maxima[i], part_sums[i]}, part_row, part.columns);
        rows.store(i, row);
        maxima[i] = state.maximum;
        sums[i] = state.sum;
        if (is_last) {
            normalise_row(part_row, row, state.sum, part.columns);
            out.store(i, part_row);
        }
    }
}
