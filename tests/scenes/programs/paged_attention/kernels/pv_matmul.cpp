// sums = weights x values for one block of values, on a cube core.
// Arguments: weights, values: bfloat16 or float32; sums: float32, dense.
#include "block_products.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Rows weights = rows_argument(args, 0);
    const Rows values = rows_argument(args, 1);
    __gm__ float *sums = first_element<float>(tensor_argument(args, 2));
    std::memset(sums, 0, sizeof(float) * weights.rows * values.columns);
    add_weighted_values(weights, 0, values, sums);
}
