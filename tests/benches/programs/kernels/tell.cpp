// out = 3 * in + constant + number of this image. Arguments: in, out; constant.
#include "cells.h"

// As in `large.cpp`.
static volatile uint64_t place[2] = {0x1A26'E04C'4E57'2A70, 0};

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    *cells_at(args, 1) = 3 * *cells_at(args, 0) + static_cast<uint64_t>(args[2]) + place[1];
}
