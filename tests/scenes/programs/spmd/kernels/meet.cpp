// Waits until `expected` cores have arrived at the counter, at most ten seconds, and then writes
// 1 into its line, or 2 if it waited in vain: only cores that run side by side meet.
// Arguments: out: float32, counter: uint64 [1]; first line, lines per block, expected.
#include <ctime>

#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    int64_t line = args[2] + get_block_idx(args) * args[3];
#ifndef __DAV_CUBE__
    if (args[3] == 3) line += 1 + get_sub_block_id(args);
#endif
    __gm__ uint64_t *counter = elements<uint64_t>(args, 1);
    const uint64_t expected = scalar_at<uint64_t>(args, 4);
    __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    const timespec pause{0, 50000};
    for (int turn = 0; turn < 200000; ++turn) {
        if (__atomic_load_n(counter, __ATOMIC_SEQ_CST) >= expected) break;
        nanosleep(&pause, nullptr);
    }
    const bool have_met = __atomic_load_n(counter, __ATOMIC_SEQ_CST) >= expected;
    elements<float>(args, 0)[line * 16] = have_met ? 1.0f : 2.0f;
}
