// What a task's tensors look like: metadata for dumps and messages. It changes no result.
//
// A task of a host-built graph has bare 64-bit words as arguments, so nothing says which of them
// are tensors. An orchestration may add that with set_tensor_info_to_task. Source: spec hbg §A3.
#pragma once

#include <cstdint>

#include "data_type.h"
#include "simpler/layout.h"
#include "simpler/limits.h"
#include "tensor_arg.h"

// One tensor, or a view of a larger one. Numbers are elements, row by row.
struct TensorInfo {
    DataType dtype;
    uint8_t ndims;  // 1..5; entries past it are zero
    uint16_t reserved;
    uint32_t shapes[RUNTIME_MAX_TENSOR_DIMS];
    uint32_t raw_shapes[RUNTIME_MAX_TENSOR_DIMS];  // of the tensor that this is a view of
    uint32_t offsets[RUNTIME_MAX_TENSOR_DIMS];     // where in that tensor the view begins
};

SIMPLER_ASSERT_RECORD(TensorInfo, 64, 4);
SIMPLER_ASSERT_FIELD(TensorInfo, dtype, 0, 1);
SIMPLER_ASSERT_FIELD(TensorInfo, ndims, 1, 1);
SIMPLER_ASSERT_FIELD(TensorInfo, reserved, 2, 2);
SIMPLER_ASSERT_FIELD(TensorInfo, shapes, 4, 20);
SIMPLER_ASSERT_FIELD(TensorInfo, raw_shapes, 24, 20);
SIMPLER_ASSERT_FIELD(TensorInfo, offsets, 44, 20);

// A range of device memory: what the runtime remembers of each device_malloc.
struct TensorAllocationInfo {
    uint64_t base_addr;
    uint64_t size_bytes;

    // Whether the address is in [base, base + size). Does not wrap, whatever the fields are.
    bool contains(uint64_t addr) const {
        return addr >= base_addr && addr - base_addr < size_bytes;
    }
};

SIMPLER_ASSERT_RECORD(TensorAllocationInfo, 16, 8);
SIMPLER_ASSERT_FIELD(TensorAllocationInfo, base_addr, 0, 8);
SIMPLER_ASSERT_FIELD(TensorAllocationInfo, size_bytes, 8, 8);

// Hidden: copies that are not inlined stay out of the dynamic symbol table.
#pragma GCC visibility push(hidden)

// The arrays have `ndims` entries each. A whole tensor needs no more than its shape: without
// `raw_shapes` they equal `shapes`, without `offsets` all are 0. Of more than 5 dimensions the first
// 5 are taken, and `ndims` keeps the number that was asked for, up to 255.
inline TensorInfo make_tensor_info(DataType dtype, uint32_t ndims, const uint32_t *shapes,
                                   const uint32_t *raw_shapes = nullptr,
                                   const uint32_t *offsets = nullptr) {
    TensorInfo info{};
    info.dtype = dtype;
    info.ndims = static_cast<uint8_t>(ndims < UINT8_MAX ? ndims : UINT8_MAX);
    for (uint32_t d = 0; d < ndims && d < static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS); ++d) {
        info.shapes[d] = shapes[d];
        info.raw_shapes[d] = raw_shapes != nullptr ? raw_shapes[d] : shapes[d];
        info.offsets[d] = offsets != nullptr ? offsets[d] : 0;
    }
    return info;
}

// The whole of an argument of the orchestration.
inline TensorInfo make_tensor_info(const ContinuousTensor &tensor) {
    return make_tensor_info(tensor.dtype, tensor.ndims, tensor.shapes);
}

#pragma GCC visibility pop
