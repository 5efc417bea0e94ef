// state[i] = 3 * state[i] + in[0] + constant: the order of two appends shows in the result.
// Arguments: in, state: uint64; constant, microseconds to take.
#include "elements.h"
#include "cells/kernels/linger.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ uint64_t *in = elements<uint64_t>(args, 0);
    __gm__ uint64_t *state = elements<uint64_t>(args, 1);
    const uint64_t count = element_count(args, 1);
    const uint64_t constant = scalar_at<uint64_t>(args, 2);
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t before = state[i];
        linger(scalar_at<uint64_t>(args, 3));
        state[i] = 3 * before + in[0] + constant;
    }
}
