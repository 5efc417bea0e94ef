// out = in + value; both may be the same memory. Words: in, out: float32; value: float32; count.
#include "words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *in = memory_at<float>(args, 0);
    __gm__ float *out = memory_at<float>(args, 1);
    const float value = word_at<float>(args, 2);
    for (int64_t i = 0; i < args[3]; ++i) out[i] = in[i] + value;
}
