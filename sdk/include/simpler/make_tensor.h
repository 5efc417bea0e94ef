// Tensors over memory that exists before the run. Source: spec trb §1.4.
#pragma once

#include "tensor.h"
#include "tensor_arg.h"

// Hidden: copies that are not inlined stay out of the dynamic symbol table.
#pragma GCC visibility push(hidden)

// A whole buffer at the device address `addr`. `manual_dep`: tasks that use it get no dependency
// from it.
inline Tensor make_tensor_external(void *addr, const uint32_t shapes[], uint32_t ndims,
                                   DataType dtype = DataType::FLOAT32, bool manual_dep = false,
                                   int32_t version = 0) {
    Tensor tensor;
    tensor.init_external(addr, shapes, ndims, dtype, manual_dep, version);
    return tensor;
}

// The same, from an argument of the orchestration.
inline Tensor from_tensor_arg(const ContinuousTensor &arg, bool manual_dep = false,
                              int32_t version = 0) {
    return make_tensor_external(arg.data_as<void>(), arg.shapes, arg.ndims, arg.dtype, manual_dep,
                                version);
}

#pragma GCC visibility pop
