// What tensors look like, by both calls and in each way to write it.
#include "orchestration_api.h"

extern "C" int build_tensor_infos(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &orch_args) {
    const ContinuousTensor &in = orch_args.tensor(0);
    const ContinuousTensor &out = orch_args.tensor(1);
    void *dev_in = device_malloc(runtime, in.nbytes());
    void *dev_out = device_malloc(runtime, out.nbytes());
    copy_to_device(runtime, dev_in, in.data_as<void>(), in.nbytes());
    record_tensor_pair(runtime, out.data_as<void>(), dev_out, out.nbytes());

    uint64_t args[3] = {(uint64_t)dev_in, (uint64_t)dev_out, 0};
    TensorInfo both[2] = {make_tensor_info(in), make_tensor_info(out)};
    int whole = add_task_with_tensor_info(runtime, args, 3, 0, CoreType::AIV, both, 2);

    uint32_t shapes[2] = {4, 8};
    uint32_t raw_shapes[2] = {16, 8};
    uint32_t offsets[2] = {12, 0};
    TensorInfo infos[] = {
        make_tensor_info(DataType::FLOAT32, 2, shapes),
        make_tensor_info(in.dtype, in.ndims, in.shapes, in.shapes),
        make_tensor_info(DataType::FLOAT32, 2, shapes, raw_shapes, offsets),
    };
    int part = add_task(runtime, args, 3, 1, CoreType::AIC);
    if (set_tensor_info_to_task(runtime, part, infos, 3) != 0) return -1;
    if (set_tensor_info_to_task(runtime, whole, nullptr, 0) != 0) return -2;
    const TensorInfo by_hand = {DataType::INT8, 1, 0, {64}, {64}, {0}};
    if (set_tensor_info_to_task(runtime, part, &by_hand, 1) != 0) return -3;
    add_successor(runtime, whole, part);
    return 0;
}
