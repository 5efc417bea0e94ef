// Control values read from and written to tensors while the graph is built.
#include <cinttypes>
#include <cstdint>

#include "pto_orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_NOOP 1

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(
    const ChipStorageTaskArgs &orch_args) {
    (void)orch_args;
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor lengths = from_tensor_arg(orch_args.tensor(0));
    Tensor check = from_tensor_arg(orch_args.tensor(1));
    Tensor result = from_tensor_arg(orch_args.tensor(2));

    uint32_t at[2] = {0, 0};
    int32_t length = get_tensor_data<int32_t>(lengths, 1, at);
    LOG_INFO_V9("length %d", length);

    uint32_t shapes[1] = {16};
    TensorCreateInfo filled(shapes, 1, DataType::FLOAT32);
    filled.set_initial_value(77.0f);
    TensorCreateInfo counters(shapes, 1, DataType::UINT64, true);
    counters.set_initial_value<uint64_t>(3);

    Arg noop;
    noop.add_output(filled, counters);
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_NOOP, noop);
    at[0] = 1;
    float value = get_tensor_data<float>(outs.get_ref(0), 1, at);
    uint64_t bits = get_tensor_data(outs.get_ref(1), 1, at);
    LOG_INFO_V0("filled with %f and %" PRIu64, value, bits);

    at[0] = 0;
    set_tensor_data(check, 1, at, value);
    set_tensor_data<uint64_t>(outs.get_ref(1), 1, at, bits + 1);
    set_tensor_data(lengths, 1, at, length + 1);
    static_assert(sizeof(get_tensor_data<float>(check, 1, at)) == 4, "the type asked for");

    Arg add;
    add.add_input(check);
    add.add_output(result);
    add.add_scalar(get_element_size(DataType::INT32));
    add.add_scalar(get_tensor_data<uint64_t>(outs.get_ref(1), 1, at));
    rt_submit_aiv_task(FUNC_ADD, add);
}
