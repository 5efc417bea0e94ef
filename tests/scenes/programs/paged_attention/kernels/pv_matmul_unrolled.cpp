// sums = weights x values for up to four blocks of values, on a cube core.
// Arguments: weights, four views of values (those beyond the count are not read): bfloat16 or
// float32; sums: float32, dense; number of blocks.
#include "block_products.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Rows weights = rows_argument(args, 0);
    __gm__ float *sums = first_element<float>(tensor_argument(args, 5));
    const uint32_t blocks = static_cast<uint32_t>(args[6]);
    std::memset(sums, 0, sizeof(float) * weights.rows * rows_argument(args, 1).columns);
    for (uint32_t n = 0; n < blocks; ++n) {
        const Rows values = rows_argument(args, 1 + static_cast<int>(n));
        add_weighted_values(weights, n * values.rows, values, sums);
    }
}
