// A tensor as the caller of an orchestration passes it: an address and a dense shape.
// Source: spec callable §1.3.
#pragma once

#include <cstdint>

#include "data_type.h"
#include "simpler/layout.h"
#include "simpler/limits.h"

// How a task uses a tensor. Chosen by the Arg method that adds it (spec trb §1.5).
enum class TensorArgType : int32_t {
    INPUT = 0,
    OUTPUT = 1,           // allocated by the runtime from a TensorCreateInfo
    INOUT = 2,
    OUTPUT_EXISTING = 3,  // written, not read, in memory that exists already
    NO_DEP = 4,
};

// Row-major, without gaps. Lives in ChipStorageTaskArgs; written by the host.
struct ContinuousTensor {
    uint64_t data;                                // host or device address
    uint32_t shapes[CONTINUOUS_TENSOR_MAX_DIMS];  // elements per dimension
    uint32_t ndims;                               // 1..5
    DataType dtype;
    uint8_t child_memory;  // not 0: `data` is device memory already, passed through untouched

    // Bytes of all elements; a tensor without dimensions is one element.
    uint64_t nbytes() const {
        uint64_t elements = 1;
        for (uint32_t d = 0; d < ndims; ++d) elements *= shapes[d];
        return elements * get_element_size(dtype);
    }

    template <typename T>
    T *data_as() const {
        return reinterpret_cast<T *>(static_cast<uintptr_t>(data));
    }

    bool is_child_memory() const { return child_memory != 0; }
};

SIMPLER_ASSERT_RECORD(ContinuousTensor, 40, 8);
SIMPLER_ASSERT_FIELD(ContinuousTensor, data, 0, 8);
SIMPLER_ASSERT_FIELD(ContinuousTensor, shapes, 8, 20);
SIMPLER_ASSERT_FIELD(ContinuousTensor, ndims, 28, 4);
SIMPLER_ASSERT_FIELD(ContinuousTensor, dtype, 32, 1);
SIMPLER_ASSERT_FIELD(ContinuousTensor, child_memory, 33, 1);
