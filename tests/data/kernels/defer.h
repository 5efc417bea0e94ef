// What the kernels of the tests of deferred completion share.
#pragma once

#include "cells.h"
#include "pto_async_kernel_api.h"

// A counter at an address that came as a scalar.
static inline __aicore__ volatile __gm__ uint32_t *counter_at(int64_t address) {
    return reinterpret_cast<volatile __gm__ uint32_t *>(address);
}

// Which kernel of its cluster's cores this one is: 0 cube, 1 and 2 vector.
static inline __aicore__ uint32_t lane(__gm__ int64_t *args) {
#if defined(__DAV_CUBE__)
    (void)args;
    return 0;
#else
    return 1 + static_cast<uint32_t>(get_sub_block_id(args));
#endif
}
