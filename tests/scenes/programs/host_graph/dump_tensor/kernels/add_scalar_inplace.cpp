// data += value. Words: data: float32; value: float32; count.
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ float *data = memory_at<float>(args, 0);
    const float value = word_at<float>(args, 1);
    for (int64_t i = 0; i < args[2]; ++i) data[i] += value;
}
