// state[i] = 3 * state[i] + in[i]. Words: in, state: uint64; count.
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint64_t *in = memory_at<uint64_t>(args, 0);
    __gm__ uint64_t *state = memory_at<uint64_t>(args, 1);
    for (int64_t i = 0; i < args[2]; ++i) state[i] = 3 * state[i] + in[i];
}
