// Rows of numbers: what the kernels of these scenes have in common.
#pragma once

#include <cstdint>

#include <pto/pto-inst.hpp>

#include "tensor.h"

// Elements per step: a constant, and counters of 64 bits, let compilers use vector instructions at
// -O2 too.
constexpr uint32_t LANES = 16;

// row += factor * other. Apart, so that the compiler knows the two do not overlap.
static inline __aicore__ void add_scaled_row(__gm__ float *__restrict__ row, float factor,
                                             const __gm__ float *__restrict__ other,
                                             uint32_t columns) {
    uint64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
        for (uint32_t lane = 0; lane < LANES; ++lane) row[j + lane] += factor * other[j + lane];
    }
    for (; j < columns; ++j) row[j] += factor * other[j];
}

static inline __aicore__ float dot_product(const float *__restrict__ a, const float *__restrict__ b,
                                           uint32_t columns) {
    float partial[LANES] = {};
    uint64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
        for (uint32_t lane = 0; lane < LANES; ++lane) partial[lane] += a[j + lane] * b[j + lane];
    }
    float sum = 0.0f;
    for (uint32_t lane = 0; lane < LANES; ++lane) sum += partial[lane];
    for (; j < columns; ++j) sum += a[j] * b[j];
    return sum;
}

// The first element of the view that a kernel's argument describes.
template <typename T>
static inline __aicore__ __gm__ T *first_element(const __gm__ Tensor *tensor) {
    return reinterpret_cast<__gm__ T *>(tensor->buffer.addr) + tensor->start_offset;
}

static inline __aicore__ __gm__ Tensor *tensor_argument(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ Tensor *>(args[index]);
}

// Elements from one index of a dimension to the next, in the whole buffer.
static inline __aicore__ uint64_t pitch_of(const __gm__ Tensor *tensor, uint32_t dimension) {
    uint64_t pitch = 1;
    for (uint32_t d = dimension + 1; d < tensor->ndims; ++d) {
        pitch *= tensor->is_raw_eq_shapes ? tensor->shapes[d] : tensor->raw_shapes[d];
    }
    return pitch;
}
