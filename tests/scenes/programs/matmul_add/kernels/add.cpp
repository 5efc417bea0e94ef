// out = a + b + bias. Arguments: a, b, out: float32; bias: float32.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *a = elements<float>(args, 0);
    const __gm__ float *b = elements<float>(args, 1);
    __gm__ float *out = elements<float>(args, 2);
    const float bias = scalar_at<float>(args, 3);
    const uint64_t count = element_count(args, 2);
    for (uint64_t i = 0; i < count; ++i) out[i] = a[i] + b[i] + bias;
}
