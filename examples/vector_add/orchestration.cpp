// f = (a + b + 1)(a + b + 2) + (a + b), as five vector tasks:
//     c = a + b;  d = c + 1;  e = c + 2;  g = d * e;  f = g + c
// c feeds three tasks; d and e may run side by side; d, e and g live only in the inner scope.
#include "pto_orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR 1
#define FUNC_MUL 2

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor f = from_tensor_arg(orch_args.tensor(2));
    TensorCreateInfo intermediate(a.shapes, a.ndims, a.dtype);
    LOG_INFO_V0("vector_add: %llu elements", static_cast<unsigned long long>(a.numel()));

    Arg sum;
    sum.add_input(a, b);
    sum.add_output(intermediate);
    TaskOutputTensors sum_outs = rt_submit_aiv_task(FUNC_ADD, sum);
    if (rt_is_fatal()) return;  // a task that failed to submit has no outputs to name
    const Tensor &c = sum_outs.get_ref(0);

    PTO2_SCOPE() {
        Arg plus_one;
        plus_one.add_input(c);
        plus_one.add_output(intermediate);
        plus_one.add_scalar(1.0f);
        TaskOutputTensors d = rt_submit_aiv_task(FUNC_ADD_SCALAR, plus_one);

        Arg plus_two;
        plus_two.add_input(c);
        plus_two.add_output(intermediate);
        plus_two.add_scalar(2.0f);
        TaskOutputTensors e = rt_submit_aiv_task(FUNC_ADD_SCALAR, plus_two);
        if (rt_is_fatal()) return;

        Arg product;
        product.add_input(d.get_ref(0), e.get_ref(0));
        product.add_output(intermediate);
        TaskOutputTensors g = rt_submit_aiv_task(FUNC_MUL, product);
        if (rt_is_fatal()) return;

        Arg result;
        result.add_input(g.get_ref(0), c);
        result.add_output(f);
        rt_submit_aiv_task(FUNC_ADD, result);
    }
}
