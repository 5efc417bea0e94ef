// What the three kernels share: where the elements are, and a loop over them.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "tensor.h"

// Elements per step: a constant, and counters of 64 bits, let compilers use vector instructions at
// -O2 too.
constexpr uint32_t LANES = 16;

// First element of tensor argument `index`.
static inline __aicore__ __gm__ float *elements(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = reinterpret_cast<__gm__ Tensor *>(args[index]);
    return reinterpret_cast<__gm__ float *>(tensor->buffer.addr) + tensor->start_offset;
}

// Number of elements of the two-dimensional tensor argument `index`.
static inline __aicore__ uint64_t element_count(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = reinterpret_cast<__gm__ Tensor *>(args[index]);
    return static_cast<uint64_t>(tensor->shapes[0]) * tensor->shapes[1];
}

// out[i] = operation(left[i], right[i]). `out` overlaps neither input.
template <typename Operation>
static inline __aicore__ void combine(__gm__ float *__restrict__ out,
                                      const __gm__ float *__restrict__ left,
                                      const __gm__ float *__restrict__ right, uint64_t count,
                                      Operation operation) {
    uint64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; ++lane) {
            out[i + lane] = operation(left[i + lane], right[i + lane]);
        }
    }
    for (; i < count; ++i) out[i] = operation(left[i], right[i]);
}
