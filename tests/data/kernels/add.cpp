// out[i] = left[i] + right[i].
// Arguments: left, right, out.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint64_t *left = cells_at(args, 0);
    const __gm__ uint64_t *right = cells_at(args, 1);
    __gm__ uint64_t *out = cells_at(args, 2);
    for (uint32_t i = 0; i < count_at(args, 2); ++i) out[i] = left[i] + right[i];
}
