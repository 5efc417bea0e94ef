// out[i] = first + i, after `pause` turns.
// Arguments: out; first, pause.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    linger(static_cast<uint64_t>(args[2]));
    __gm__ uint64_t *out = cells_at(args, 0);
    for (uint32_t i = 0; i < count_at(args, 0); ++i) out[i] = static_cast<uint64_t>(args[1]) + i;
}
