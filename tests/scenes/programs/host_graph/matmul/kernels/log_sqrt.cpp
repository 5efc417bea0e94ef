// out = sqrt(log(in)), on a vector core. Words: in, out: float16, in above 1; count.
#include <cmath>

#include "dtypes/kernels/half.h"
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint16_t *in = memory_at<uint16_t>(args, 0);
    __gm__ uint16_t *out = memory_at<uint16_t>(args, 1);
    for (int64_t i = 0; i < args[2]; ++i) {
        out[i] = float16_nearest(std::sqrt(std::log(float16_value(in[i]))));
    }
}
