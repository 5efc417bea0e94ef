// Writes up to 14 words behind each other. Words: out: uint64; how many; they.
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *out = memory_at<uint64_t>(args, 0);
    for (int i = 0; i < args[1]; ++i) out[i] = word_at<uint64_t>(args, 2 + i);
}
