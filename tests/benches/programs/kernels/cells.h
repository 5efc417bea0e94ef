// The cells of tensors of uint64.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "tensor.h"

// The first cell of a tensor argument's view.
static inline __aicore__ __gm__ uint64_t *cells_at(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = reinterpret_cast<__gm__ Tensor *>(args[index]);
    return reinterpret_cast<__gm__ uint64_t *>(tensor->buffer.addr) + tensor->start_offset;
}
