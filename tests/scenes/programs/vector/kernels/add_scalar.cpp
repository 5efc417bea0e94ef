// out = in + value. Arguments: in, out: float32; value: float32.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *in = elements<float>(args, 0);
    __gm__ float *out = elements<float>(args, 1);
    const float value = scalar_at<float>(args, 2);
    const uint64_t count = element_count(args, 1);
    for (uint64_t i = 0; i < count; ++i) out[i] = in[i] + value;
}
