// out = scale * (a x b) for square matrices. Arguments: a, b, out: float32 [n, n]; scale: float32.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *a = elements<float>(args, 0);
    const __gm__ float *b = elements<float>(args, 1);
    __gm__ float *out = elements<float>(args, 2);
    const float scale = scalar_at<float>(args, 3);
    // Views of stacks: the last two dimensions are a matrix.
    const uint64_t n = tensor_at(args, 2)->shapes[2];
    for (uint64_t i = 0; i < n; ++i) {
        for (uint64_t j = 0; j < n; ++j) {
            float sum = 0.0f;
            for (uint64_t k = 0; k < n; ++k) sum += a[i * n + k] * b[k * n + j];
            out[i * n + j] = scale * sum;
        }
    }
}
