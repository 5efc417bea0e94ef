// out[i] = first + i. Words: out: uint64; first; count.
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *out = memory_at<uint64_t>(args, 0);
    for (int64_t i = 0; i < args[2]; ++i) out[i] = static_cast<uint64_t>(args[1] + i);
}
