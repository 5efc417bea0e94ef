// out = factor * in + addend + offset. Words: in, out: float32; count; factor: float32; addend:
// float64; offset: int32.
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *in = memory_at<float>(args, 0);
    __gm__ float *out = memory_at<float>(args, 1);
    const float factor = word_at<float>(args, 3);
    const double addend = word_at<double>(args, 4);
    const int32_t offset = word_at<int32_t>(args, 5);
    for (int64_t i = 0; i < args[2]; ++i) {
        out[i] = static_cast<float>(static_cast<double>(factor * in[i]) + addend + offset);
    }
}
