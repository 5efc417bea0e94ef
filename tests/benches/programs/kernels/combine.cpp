// out = other = left + right + constant. Arguments: left, right, out, other; constant.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint64_t sum =
        *cells_at(args, 0) + *cells_at(args, 1) + static_cast<uint64_t>(args[4]);
    *cells_at(args, 2) = sum;
    *cells_at(args, 3) = sum;
}
