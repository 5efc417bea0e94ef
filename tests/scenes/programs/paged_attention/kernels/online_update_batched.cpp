// Merges a block of several batch entries into the rows accumulated so far; the last block divides,
// on a vector core. Rows whose context is empty stay as they are.
// Arguments: maxima, sums, rows of the block; maxima, sums, rows accumulated; out: float32, dense;
// whether it is the first block (what is accumulated is then not read), whether it is the last.
#include "softmax.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *part = tensor_argument(args, 2);
    const __gm__ float *part_maxima = first_element<float>(tensor_argument(args, 0));
    const __gm__ float *part_sums = first_element<float>(tensor_argument(args, 1));
    const __gm__ float *part_rows = first_element<float>(part);
    __gm__ float *maxima = first_element<float>(tensor_argument(args, 3));
    __gm__ float *sums = first_element<float>(tensor_argument(args, 4));
    __gm__ float *rows = first_element<float>(tensor_argument(args, 5));
    __gm__ float *out = first_element<float>(tensor_argument(args, 6));
    const bool is_first = args[7] != 0;
    const bool is_last = args[8] != 0;
    const uint32_t columns = part->shapes[2];
    for (uint64_t i = 0; i < uint64_t{part->shapes[0]} * part->shapes[1]; ++i) {
        __gm__ float *row = rows + i * columns;
        RowState state{maxima[i], sums[i]};
        if (is_first) {
            state = EMPTY_ROW;
            std::memset(row, 0, columns * sizeof(float));
        }
        const RowState part_state{part_maxima[i], part_sums[i]};
        merge_row(state, row, part_state, part_rows + i * columns, columns);
        maxima[i] = state.maximum;
        sums[i] = state.sum;
        if (is_last && state.sum > 0.0f) normalise_row(out + i * columns, row, state.sum, columns);
    }
}
