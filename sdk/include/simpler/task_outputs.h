// What a submit call returns: the task's id and the tensors the runtime allocated for it.
// Source: spec trb §1.5.
#pragma once

#include <cstdint>

#include "pto_task_id.h"
#include "simpler/assertion.h"
#include "simpler/layout.h"
#include "simpler/limits.h"
#include "tensor.h"

// Filled by the runtime. The tensors lie in the slot of the task, so they are valid in the scope
// the task was submitted in; to carry one further, copy the Tensor. Empty after a fatal error.
struct TaskOutputTensors {
    // Public for the layout checks below; use the methods.
    PTO2TaskId task_id_ = PTO2TaskId::invalid();
    uint32_t output_count_ = 0;
    const Tensor *tensors_[MAX_TENSOR_ARGS] = {};

    // The i-th tensor added with add_output(TensorCreateInfo). Asserts that there is one. Not for
    // temporaries: the result of a submit call must have a name.
    const Tensor &get_ref(uint32_t index) const & {
        always_assert(index < output_count_);
        return *tensors_[index];
    }
    const Tensor &get_ref(uint32_t index) const && = delete;

    uint32_t size() const { return output_count_; }
    bool empty() const { return output_count_ == 0; }
    PTO2TaskId task_id() const { return task_id_; }
};

#ifndef SIMPLER_CHIP_A5
using TaskSubmitResult = TaskOutputTensors;
#endif

SIMPLER_ASSERT_RECORD(TaskOutputTensors, 144, 8);
SIMPLER_ASSERT_FIELD(TaskOutputTensors, task_id_, 0, 8);
SIMPLER_ASSERT_FIELD(TaskOutputTensors, output_count_, 8, 4);
SIMPLER_ASSERT_FIELD(TaskOutputTensors, tensors_, 16, 128);
