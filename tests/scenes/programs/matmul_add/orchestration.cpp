// Matrix products on cube cores and sums on vector cores in turns, all independent of one another:
// task pair i has its own part of each stack. Scalars differ from task to task.
// Arguments: a, b, products, sums: float32 [pairs, n, n].
#include "pto_orchestration_api.h"

#define FUNC_MATMUL 0
#define FUNC_ADD 1

namespace {
Tensor part(const Tensor &stack, uint32_t index) {
    const uint32_t shape[3] = {1, stack.shapes[1], stack.shapes[2]};
    const uint32_t offset[3] = {index, 0, 0};
    return stack.view(shape, offset);
}
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor products = from_tensor_arg(orch_args.tensor(2));
    Tensor sums = from_tensor_arg(orch_args.tensor(3));
    for (uint32_t i = 0; i < a.shapes[0]; ++i) {
        Tensor left = part(a, i);
        Tensor right = part(b, i);
        Tensor product = part(products, i);
        Tensor sum = part(sums, i);

        Arg multiply;
        multiply.add_input(left, right);
        multiply.add_output(product);
        multiply.add_scalar(static_cast<float>(i % 5) + 1.0f);
        rt_submit_aic_task(FUNC_MATMUL, multiply);

        Arg add;
        add.add_input(left, right);
        add.add_output(sum);
        add.add_scalar(static_cast<float>(i) * 0.5f);
        rt_submit_aiv_task(FUNC_ADD, add);
    }
}
