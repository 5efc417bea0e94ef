// Tensor arguments as kernels see them.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "tensor.h"

// Tensor argument `index`.
static inline __aicore__ __gm__ Tensor *tensor_at(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ Tensor *>(args[index]);
}

// First element of the view that tensor argument `index` is.
template <typename T>
static inline __aicore__ __gm__ T *elements(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = tensor_at(args, index);
    return reinterpret_cast<__gm__ T *>(tensor->buffer.addr) + tensor->start_offset;
}

// Elements of tensor argument `index`, which is one run of memory.
static inline __aicore__ uint64_t element_count(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = tensor_at(args, index);
    uint64_t count = 1;
    for (uint32_t d = 0; d < tensor->ndims; ++d) count *= tensor->shapes[d];
    return count;
}

// Scalar argument: position `index` counts tensors too.
template <typename T>
static inline __aicore__ T scalar_at(__gm__ int64_t *args, int index) {
    return from_u64<T>(static_cast<uint64_t>(args[index]));
}
