// A stack of square matrices as kernels see it.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "tensor.h"

// Elements per step: a constant, and counters of 64 bits, let compilers use vector instructions at
// -O2 too.
constexpr uint32_t LANES = 16;

struct Stack {
    __gm__ float *first;
    uint32_t matrices;
    uint32_t side;

    __gm__ float *row(uint32_t matrix, uint32_t index) const {
        return first + (static_cast<uint64_t>(matrix) * side + index) * side;
    }
};

static inline __aicore__ Stack stack_argument(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = reinterpret_cast<__gm__ Tensor *>(args[index]);
    Stack stack;
    stack.first = reinterpret_cast<__gm__ float *>(tensor->buffer.addr) + tensor->start_offset;
    stack.matrices = tensor->shapes[0];
    stack.side = tensor->shapes[1];
    return stack;
}
