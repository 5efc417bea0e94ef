// out = left * right. Arguments: left, right, out: float32.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *left = elements<float>(args, 0);
    const __gm__ float *right = elements<float>(args, 1);
    __gm__ float *out = elements<float>(args, 2);
    const uint64_t count = element_count(args, 2);
    for (uint64_t i = 0; i < count; ++i) out[i] = left[i] * right[i];
}
