// The argument list an orchestration entry receives.
//
// The host fills it, the runtime copies it to the device byte for byte, the entry reads it by
// index: all tensors, then all scalars. Source: spec callable §1.4.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "arg_direction.h"
#include "simpler/layout.h"
#include "simpler/scalar_bits.h"
#include "tensor_arg.h"

// Accessors by index check nothing: compare with the counts first, or declare the expected number
// of arguments in the config function.
struct ChipStorageTaskArgs {
    // Public for the layout checks below; use the methods.
    ContinuousTensor tensors_[CHIP_MAX_TENSOR_ARGS];
    uint64_t scalars_[CHIP_MAX_SCALAR_ARGS];
    int32_t tensor_count_ = 0;
    int32_t scalar_count_ = 0;

    int32_t tensor_count() const { return tensor_count_; }
    int32_t scalar_count() const { return scalar_count_; }

    const ContinuousTensor &tensor(int32_t index) const { return tensors_[index]; }
    ContinuousTensor &tensor(int32_t index) { return tensors_[index]; }
    const ContinuousTensor *tensor_data() const { return tensors_; }

    // Bit pattern; decode with from_u64.
    uint64_t scalar(int32_t index) const { return scalars_[index]; }
    uint64_t &scalar(int32_t index) { return scalars_[index]; }
    const uint64_t *scalar_data() const { return scalars_; }
    const uint64_t *scalars() const { return scalars_; }

    // Throws std::logic_error after a scalar, std::out_of_range when full.
    void add_tensor(const ContinuousTensor &tensor) {
        if (scalar_count_ > 0) throw std::logic_error("a tensor was added after a scalar");
        if (tensor_count_ >= CHIP_MAX_TENSOR_ARGS) throw std::out_of_range("too many tensors");
        tensors_[tensor_count_++] = tensor;
    }

    // Throws std::out_of_range when full.
    void add_scalar(uint64_t bits) {
        if (scalar_count_ >= CHIP_MAX_SCALAR_ARGS) throw std::out_of_range("too many scalars");
        scalars_[scalar_count_++] = bits;
    }

    // Forgets all arguments; the slots keep their bytes.
    void clear() {
        tensor_count_ = 0;
        scalar_count_ = 0;
    }
};

SIMPLER_ASSERT_RECORD(ChipStorageTaskArgs, 3592, 8);
SIMPLER_ASSERT_FIELD(ChipStorageTaskArgs, tensors_, 0, 2560);
SIMPLER_ASSERT_FIELD(ChipStorageTaskArgs, scalars_, 2560, 1024);
SIMPLER_ASSERT_FIELD(ChipStorageTaskArgs, tensor_count_, 3584, 4);
SIMPLER_ASSERT_FIELD(ChipStorageTaskArgs, scalar_count_, 3588, 4);
