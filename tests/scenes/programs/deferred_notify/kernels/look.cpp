// seen[i] = counter i. Arguments: token; counters: uint32, one in each cache line; seen: uint32.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint32_t *counters = elements<uint32_t>(args, 1);
    __gm__ uint32_t *seen = elements<uint32_t>(args, 2);
    const uint64_t count = element_count(args, 2);
    for (uint64_t i = 0; i < count; ++i) {
        seen[i] = __atomic_load_n(counters + 16 * i, __ATOMIC_ACQUIRE);
    }
}
