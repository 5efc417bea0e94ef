// What the kernels of the tests share: the cells of one-dimensional tensors of 64-bit numbers.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "tensor.h"

// A tensor argument.
static inline __aicore__ __gm__ Tensor *tensor_at(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ Tensor *>(args[index]);
}

// The first cell of a tensor argument's view.
static inline __aicore__ __gm__ uint64_t *cells_at(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = tensor_at(args, index);
    return reinterpret_cast<__gm__ uint64_t *>(tensor->buffer.addr) + tensor->start_offset;
}

// How many cells a tensor argument's view has.
static inline __aicore__ uint32_t count_at(__gm__ int64_t *args, int index) {
    return tensor_at(args, index)->shapes[0];
}

// Passes some time, so that a consumer that does not wait reads too early.
static inline __aicore__ void linger(uint64_t turns) {
    for (volatile uint64_t turn = 0; turn < turns; turn = turn + 1) {
    }
}
