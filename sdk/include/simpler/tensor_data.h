// Reading and writing single elements while the graph is being built.
//
// Both wait until the tasks that touch the tensor are done, so use them for control values, not
// for data. Source: spec trb §1.4, §1.6.
#pragma once

#include <cstdint>

#include "simpler/scalar_bits.h"
#include "simpler/submit.h"
#include "tensor.h"

// Hidden: copies that are not inlined stay out of the dynamic symbol table.
#pragma GCC visibility push(hidden)

// Element `indices` of the view. The low bytes of the element are taken as a T; nothing is
// converted.
template <typename T = uint64_t>
T get_tensor_data(const Tensor &tensor, uint32_t ndims, const uint32_t indices[]) {
    PTO2Runtime *rt = simpler::live_runtime();
    return from_u64<T>(rt != nullptr ? rt->ops->get_tensor_data(rt, tensor, ndims, indices) : 0);
}

template <typename T = uint64_t>
void set_tensor_data(const Tensor &tensor, uint32_t ndims, const uint32_t indices[], T value) {
    if (PTO2Runtime *rt = simpler::live_runtime()) {
        rt->ops->set_tensor_data(rt, tensor, ndims, indices, to_u64(value));
    }
}

#pragma GCC visibility pop
