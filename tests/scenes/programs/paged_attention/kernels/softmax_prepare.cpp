// Weights of one block, relative to the block's own maximum, on a vector core.
// Arguments: scores: float32; weights: bfloat16 or float32; maxima, sums: float32, one for a row;
// scale: float32; positions of the block that are in the context.
#include "intrinsic.h"
#include "softmax.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Rows scores = rows_argument(args, 0);
    const Rows weights = rows_argument(args, 1);
    __gm__ float *maxima = first_element<float>(tensor_argument(args, 2));
    __gm__ float *sums = first_element<float>(tensor_argument(args, 3));
    const float scale = from_u64<float>(static_cast<uint64_t>(args[4]));
    const uint32_t valid = static_cast<uint32_t>(args[5]);
    float row[MAX_POSITIONS];
    for (uint32_t i = 0; i < scores.rows; ++i) {
        scores.load(i, row);
        const RowState state = weigh_row(row, scores.columns, valid, scale);
        weights.store(i, row);
        maxima[i] = state.maximum;
        sums[i] = state.sum;
    }
}
