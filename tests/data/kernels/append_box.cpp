// state = 3 * state + constant for each element of a view of any rank, after `pause` microseconds.
// Arguments: state; constant, pause.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    linger(static_cast<uint64_t>(args[2]));
    const __gm__ Tensor &view = *tensor_at(args, 0);
    __gm__ uint64_t *base = reinterpret_cast<__gm__ uint64_t *>(view.buffer.addr);
    uint64_t count = 1;
    for (uint32_t d = 0; d < view.ndims; ++d) count *= view.shapes[d];
    for (uint64_t flat = 0; flat < count; ++flat) {
        uint64_t rest = flat, at = view.start_offset, stride = 1;
        for (uint32_t d = view.ndims; d-- > 0;) {
            at += rest % view.shapes[d] * stride;
            rest /= view.shapes[d];
            stride *= view.get_raw_shapes()[d];
        }
        base[at] = 3 * base[at] + static_cast<uint64_t>(args[1]);
    }
}
