// The description of an output that the runtime allocates.
//
// An orchestration fills one and passes it to Arg::add_output or alloc_tensors; the runtime answers
// with a Tensor. Bytes 32..63 are those of a Tensor, so the runtime builds one by a copy of that
// half line. Source: spec trb §1.5.
#pragma once

#include <cstdint>

#include "data_type.h"
#include "simpler/assertion.h"
#include "simpler/layout.h"
#include "simpler/limits.h"
#include "simpler/scalar_bits.h"

// Must live until the submit call returns: an Arg keeps its address only.
struct alignas(64) TensorCreateInfo {
    uint64_t initial_value = 0;  // bit pattern of one element
    bool has_initial_value = false;
    uint8_t __pad1__[7] = {};
    uint64_t __pad2__ = 0;
    uint64_t __pad3__ = 0;
    int32_t version = 0;
    uint32_t ndims = 0;
    DataType dtype = DataType::FLOAT32;
    bool is_all_offset_zero = true;
    bool is_raw_eq_shapes = true;
    bool manual_dep = false;
    uint32_t raw_shapes[RUNTIME_MAX_TENSOR_DIMS] = {};

    TensorCreateInfo() = default;

    // `manual_dep`: later users of the tensor depend on its creator only.
    TensorCreateInfo(const uint32_t shapes[], uint32_t dims, DataType type = DataType::FLOAT32,
                     bool manual = false)
        : ndims(dims), dtype(type), manual_dep(manual) {
        always_assert(dims <= static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS));
        for (uint32_t d = 0; d < dims; ++d) raw_shapes[d] = shapes[d];
    }

    // Has the runtime fill the whole buffer with `value` at submit time. T must be as wide as an
    // element: the bits are stored, not converted.
    template <typename T>
    void set_initial_value(T value) {
        initial_value = to_u64(value);
        has_initial_value = true;
    }

    // Bytes asked for; the runtime rounds each output up to 1024.
    uint64_t buffer_size_bytes() const {
        uint64_t elements = 1;
        for (uint32_t d = 0; d < ndims; ++d) elements *= raw_shapes[d];
        return elements * get_element_size(dtype);
    }
};

SIMPLER_ASSERT_RECORD(TensorCreateInfo, 64, 64);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, initial_value, 0, 8);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, has_initial_value, 8, 1);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, __pad1__, 9, 7);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, __pad2__, 16, 8);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, __pad3__, 24, 8);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, version, 32, 4);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, ndims, 36, 4);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, dtype, 40, 1);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, is_all_offset_zero, 41, 1);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, is_raw_eq_shapes, 42, 1);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, manual_dep, 43, 1);
SIMPLER_ASSERT_FIELD(TensorCreateInfo, raw_shapes, 44, 20);
