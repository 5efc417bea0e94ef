// Counts its call, and adds up the indices of blocks, wherever they run.
// Arguments: out; addresses of the count and of the sum.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    auto *count = reinterpret_cast<uint64_t *>(args[1]);
    auto *sum = reinterpret_cast<uint64_t *>(args[2]);
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(sum, static_cast<uint64_t>(get_block_idx(args)), __ATOMIC_RELAXED);
}
