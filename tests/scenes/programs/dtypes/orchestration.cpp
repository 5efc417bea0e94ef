// Every element type: in memory of the caller, in new tensors, as initial value, as scalar of a
// task, and element by element. For each type: out = (in + addend) from its end, out[0] = in[3] +
// addend by way of the orchestration, and the initial value comes back as out[1].
// Arguments: for each type in and out; for each type addend, which is the initial value as well.
#include "pto_orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_REVERSE 1

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    for (int32_t i = 0; i < orch_args.scalar_count(); ++i) {
        Tensor in = from_tensor_arg(orch_args.tensor(2 * i));
        Tensor out = from_tensor_arg(orch_args.tensor(2 * i + 1));
        const uint64_t addend = orch_args.scalar(i);

        TensorCreateInfo info(in.shapes, in.ndims, in.dtype);
        Arg add;
        add.add_input(in);
        add.add_output(info);
        add.add_scalar(addend);
        TaskOutputTensors sum = rt_submit_aiv_task(FUNC_ADD, add);
        Arg reverse;
        reverse.add_input(sum.get_ref(0));
        reverse.add_inout(out);
        rt_submit_aiv_task(FUNC_REVERSE, reverse);

        const uint32_t third[1] = {3};
        const uint32_t places[2][1] = {{0}, {1}};
        set_tensor_data(out, 1, places[0], get_tensor_data(sum.get_ref(0), 1, third));
        info.initial_value = addend;
        info.has_initial_value = true;
        TaskOutputTensors filled = alloc_tensors(info);
        const uint32_t last[1] = {in.shapes[0] - 1};
        set_tensor_data(out, 1, places[1], get_tensor_data(filled.get_ref(0), 1, last));
    }
}
