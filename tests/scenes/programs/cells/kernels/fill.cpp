// out[i] = value + i. Arguments: out: uint64; value, microseconds to take.
#include "elements.h"
#include "cells/kernels/linger.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *out = elements<uint64_t>(args, 0);
    const uint64_t count = element_count(args, 0);
    linger(scalar_at<uint64_t>(args, 2));
    for (uint64_t i = 0; i < count; ++i) out[i] = scalar_at<uint64_t>(args, 1) + i;
}
