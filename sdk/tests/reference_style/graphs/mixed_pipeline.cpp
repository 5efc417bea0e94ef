// Vector, cube, vector: half floats in, floats out, scalars from the caller, memory given back.
#include "orchestration_api.h"

#include <cmath>

static void *on_device(OrchestrationRuntime *rt, const ContinuousTensor &tensor) {
    // Memory of a caller that lives on the device already is used where it is.
    if (tensor.is_child_memory()) return tensor.data_as<void>();
    void *memory = device_malloc(rt, tensor.nbytes());
    if (memory != nullptr) copy_to_device(rt, memory, tensor.data_as<const void>(), tensor.nbytes());
    return memory;
}

extern "C" int build_mixed_pipeline(OrchestrationRuntime *rt, const ChipStorageTaskArgs &orch_args) {
    if (orch_args.tensor_count() != 4 || orch_args.scalar_count() != 2) return -1;
    const ContinuousTensor &a = orch_args.tensor(0);
    if (a.dtype != DataType::FLOAT16) return -2;
    const float scale = from_u64<float>(orch_args.scalar(0)) * std::sqrt(2.0f);
    const uint64_t steps = orch_args.scalar(1);

    void *scratch = device_malloc(rt, 4096);
    device_free(rt, scratch);
    void *dev_a = on_device(rt, a);
    void *weights[2] = {on_device(rt, orch_args.tensor(1)), on_device(rt, orch_args.tensor(2))};
    void *log_a = device_malloc(rt, a.nbytes());
    const ContinuousTensor &out = orch_args.tensor(3);
    const size_t half = out.nbytes() / sizeof(float) * get_element_size(DataType::FLOAT16);
    void *products[2] = {device_malloc(rt, 2 * half), device_malloc(rt, 2 * half)};
    void *dev_out = device_malloc(rt, out.nbytes());
    record_tensor_pair(rt, out.data_as<void>(), dev_out, out.nbytes());

    uint64_t log_args[] = {(uint64_t)dev_a, (uint64_t)log_a, to_u64(scale), a.nbytes() / 2};
    const int log_task = add_task(rt, log_args, 4, 0, CoreType::AIV);
    int mul_tasks[2];
    for (int i = 0; i < 2; ++i) {
        uint64_t args[] = {(uint64_t)log_a, (uint64_t)weights[i], (uint64_t)products[i], steps};
        mul_tasks[i] = add_task(rt, args, 4, 1, CoreType::AIC);
        add_successor(rt, log_task, mul_tasks[i]);
    }
    uint64_t end_args[] = {(uint64_t)products[0], (uint64_t)products[1], (uint64_t)dev_out};
    const int end_task = add_task(rt, end_args, 3, 2, CoreType::AIV);
    for (int task : mul_tasks) add_successor(rt, task, end_task);
    return end_task < 0 ? -3 : 0;
}
