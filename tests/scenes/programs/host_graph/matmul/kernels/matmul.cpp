// product = left x right, on a cube core.
// Words: left, right: float16; product: float32; rows, inner, columns. All dense.
#include "dtypes/kernels/half.h"
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint16_t *left = memory_at<uint16_t>(args, 0);
    const __gm__ uint16_t *right = memory_at<uint16_t>(args, 1);
    __gm__ float *product = memory_at<float>(args, 2);
    const int64_t rows = args[3], inner = args[4], columns = args[5];
    for (int64_t i = 0; i < rows; ++i) {
        __gm__ float *row = product + i * columns;
        for (int64_t j = 0; j < columns; ++j) row[j] = 0.0f;
        for (int64_t k = 0; k < inner; ++k) {
            const float factor = float16_value(left[i * inner + k]);
            for (int64_t j = 0; j < columns; ++j) {
                row[j] += factor * float16_value(right[k * columns + j]);
            }
        }
    }
}
