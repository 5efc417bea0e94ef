// out[0] = the sum of (i + 1) * in[i].
// Arguments: in, out.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint64_t *in = cells_at(args, 0);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count_at(args, 0); ++i) sum += (i + 1) * in[i];
    cells_at(args, 1)[0] = sum;
}
