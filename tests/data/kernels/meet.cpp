// Waits until `expected` blocks have arrived at the counter, but no longer than two seconds; then
// writes 1 into the block's cell, or 2 if it waited in vain. Only blocks that run side by side meet.
// Arguments: out; address of the counter, expected, first cell.
#include <ctime>

#include "cells.h"

static uint64_t nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    auto *counter = reinterpret_cast<uint64_t *>(args[1]);
    const auto expected = static_cast<uint64_t>(args[2]);
    __gm__ uint64_t *out = cells_at(args, 0) + args[3] + get_block_idx(args);
    __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    const uint64_t end = nanoseconds() + 2000000000u;
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < expected && nanoseconds() < end) {
        const timespec pause{0, 20000};
        nanosleep(&pause, nullptr);
    }
    *out = __atomic_load_n(counter, __ATOMIC_SEQ_CST) >= expected ? 1 : 2;
}
