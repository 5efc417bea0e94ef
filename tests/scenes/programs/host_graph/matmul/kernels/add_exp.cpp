// out = exp(left + right), on a vector core. Words: left, right, out: float32; count.
#include <cmath>

#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *left = memory_at<float>(args, 0);
    const __gm__ float *right = memory_at<float>(args, 1);
    __gm__ float *out = memory_at<float>(args, 2);
    for (int64_t i = 0; i < args[3]; ++i) out[i] = std::exp(left[i] + right[i]);
}
