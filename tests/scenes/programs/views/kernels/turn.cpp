// Each element of a rectangle: x = 3 * x + tag, slowly where asked. Arguments: rectangle: uint32,
// two dimensions; tag, microseconds to take.
#include "cells/kernels/linger.h"
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *view = tensor_at(args, 0);
    __gm__ uint32_t *first = elements<uint32_t>(args, 0);
    const uint64_t stride = view->get_raw_shapes()[1];
    const uint32_t tag = scalar_at<uint32_t>(args, 1);
    for (uint64_t row = 0; row < view->shapes[0]; ++row) {
        for (uint64_t column = 0; column < view->shapes[1]; ++column) {
            __gm__ uint32_t *cell = first + row * stride + column;
            const uint32_t before = *cell;
            if (row == 0 && column == 0) linger(scalar_at<uint64_t>(args, 2));
            *cell = 3 * before + tag;
        }
    }
}
