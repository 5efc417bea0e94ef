// out[i] = 3 * left[i] + right[i] + constant, unless left begins with 0xBAD: then it throws.
// Words: left, right, out: uint64; constant, count.
#include <stdexcept>

#include "words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint64_t *left = memory_at<uint64_t>(args, 0);
    const __gm__ uint64_t *right = memory_at<uint64_t>(args, 1);
    __gm__ uint64_t *out = memory_at<uint64_t>(args, 2);
    const uint64_t constant = word_at<uint64_t>(args, 3);
    if (args[4] > 0 && left[0] == 0xBAD) throw std::logic_error("spoiled");
    for (int64_t i = 0; i < args[4]; ++i) out[i] = 3 * left[i] + right[i] + constant;
}
