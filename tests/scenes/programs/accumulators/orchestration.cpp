// Accumulators from alloc_tensors, in its three forms, with initial values; tasks of many inner
// scopes add to them, and the caller's tensors get what they hold in the end.
// Arguments: in, first, second, third: float32 [n]; turns.
#include "pto_orchestration_api.h"

#define FUNC_ACCUMULATE 0

namespace {
void accumulate(const Tensor &in, const Tensor &total, float weight) {
    Arg args;
    args.add_input(in);
    args.add_inout(total);
    args.add_scalar(weight);
    rt_submit_aiv_task(FUNC_ACCUMULATE, args);
}
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    TensorCreateInfo from_zero(in.shapes, in.ndims, in.dtype);
    from_zero.set_initial_value(0.0f);
    TensorCreateInfo from_half(in.shapes, in.ndims, in.dtype);
    from_half.set_initial_value(0.5f);
    TensorCreateInfo from_minus(in.shapes, in.ndims, in.dtype);
    from_minus.set_initial_value(-2.0f);

    Arg list;
    list.add_output(from_zero);
    TaskOutputTensors by_list = alloc_tensors(list);
    TaskOutputTensors one_by_one = alloc_tensors(from_half, from_minus);
    const TensorCreateInfo row[2] = {from_minus, from_zero};
    TaskOutputTensors by_row = alloc_tensors(row, 2);

    const Tensor *totals[3] = {&by_list.get_ref(0), &one_by_one.get_ref(0), &by_row.get_ref(0)};
    for (uint64_t turn = 0; turn < orch_args.scalar(0); ++turn) {
        PTO2_SCOPE() {
            // A temporary of the inner scope, which starts from -2 and 0 as well.
            TaskOutputTensors inner = alloc_tensors(from_minus);
            accumulate(in, inner.get_ref(0), 1.0f);
            for (int i = 0; i < 3; ++i) {
                accumulate(inner.get_ref(0), *totals[i], static_cast<float>(i + 1));
            }
        }
    }
    for (int i = 0; i < 3; ++i) {
        Tensor out = from_tensor_arg(orch_args.tensor(1 + i));
        accumulate(*totals[i], out, 1.0f);
    }
    // The two that nobody added to.
    Tensor third = from_tensor_arg(orch_args.tensor(3));
    accumulate(one_by_one.get_ref(1), third, 1.0f);
    accumulate(by_row.get_ref(1), third, 1.0f);
}
