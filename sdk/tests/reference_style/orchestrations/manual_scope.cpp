// A pipeline whose order is written by hand with task ids, in manual scopes.
#include <cstdint>

#include "pto_orchestration_api.h"

#define FUNC_QK 0
#define FUNC_SOFTMAX 1
#define FUNC_UPDATE 2

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    void *query_ptr = orch_args.tensor(0).data_as<void>();
    DataType dtype = orch_args.tensor(0).dtype;
    uint32_t rows = orch_args.tensor(0).shapes[0];
    uint32_t shape[2] = {rows, orch_args.tensor(0).shapes[1]};
    Tensor query = make_tensor_external(query_ptr, shape, 2, dtype);
    Tensor out = from_tensor_arg(orch_args.tensor(1));

    rt_scope_begin();
    uint32_t state_shape[1] = {rows};
    TensorCreateInfo state_ci(state_shape, 1, DataType::FLOAT32);
    TensorCreateInfo score_ci(shape, 2, DataType::FLOAT32);
    PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
        TaskOutputTensors state = alloc_tensors(state_ci, state_ci, score_ci);
        Tensor running_max = state.get_ref(0);
        Tensor running_sum = state.get_ref(1);
        Tensor scores = state.get_ref(2);
        PTO2TaskId previous = PTO2TaskId::invalid();
        for (int64_t block = 0; block < 4; block++) {
            PTO2_SCOPE_GUARD(PTO2ScopeMode::MANUAL);
            Arg qk;
            qk.add_input(query);
            qk.add_inout(scores);
            qk.add_dep(state.task_id());
            if (previous.is_valid()) qk.add_dep(previous);
            TaskOutputTensors qk_outs = rt_submit_aic_task(FUNC_QK, qk);

            Arg update;
            update.add_input(scores);
            update.add_inout(running_max, running_sum, out);
            update.add_dep(qk_outs.task_id(), state.task_id());
            update.add_scalar(block == 0 ? 1 : 0);
            previous = rt_submit_aiv_task(FUNC_UPDATE, update).task_id();
        }
    }
    rt_scope_end();

    PTO2_SCOPE() {
        PTO2_SCOPE_GUARD();
        TensorCreateInfo list[2] = {state_ci, score_ci};
        TaskOutputTensors pair = alloc_tensors(list, 2);
        Arg third;
        third.add_output(state_ci);
        TaskOutputTensors single = alloc_tensors(third);
        Arg softmax;
        softmax.add_inout(pair.get_ref(0), pair.get_ref(1), single.get_ref(0));
        rt_submit_aiv_task(FUNC_SOFTMAX, softmax);
    }
}
