// f = (a + b + 1)(a + b + 2) + (a + b), as five vector tasks:
//     c = a + b;  d = c + 1;  e = c + 2;  g = d * e;  f = g + c
// All but f are outputs that the runtime allocates; d, e and g live in the inner scope only.
#include "pto_orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR 1
#define FUNC_MUL 2

namespace {
// The new tensor `left op right`.
TaskOutputTensors combined(int32_t kernel, const Tensor &left, const Tensor &right) {
    TensorCreateInfo info(left.shapes, left.ndims, left.dtype);
    Arg args;
    args.add_input(left, right);
    args.add_output(info);
    return rt_submit_aiv_task(kernel, args);
}

// The new tensor `tensor + value`.
TaskOutputTensors shifted(const Tensor &tensor, float value) {
    TensorCreateInfo info(tensor.shapes, tensor.ndims, tensor.dtype);
    Arg args;
    args.add_input(tensor);
    args.add_output(info);
    args.add_scalar(value);
    return rt_submit_aiv_task(FUNC_ADD_SCALAR, args);
}
}  // namespace

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor f = from_tensor_arg(orch_args.tensor(2));

    TaskOutputTensors c = combined(FUNC_ADD, a, b);
    PTO2_SCOPE() {
        TaskOutputTensors d = shifted(c.get_ref(0), 1.0f);
        TaskOutputTensors e = shifted(c.get_ref(0), 2.0f);
        TaskOutputTensors g = combined(FUNC_MUL, d.get_ref(0), e.get_ref(0));
        Arg last;
        last.add_input(g.get_ref(0), c.get_ref(0));
        last.add_output(f);
        rt_submit_aiv_task(FUNC_ADD, last);
    }
}
