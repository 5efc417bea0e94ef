// EXPECT: task arguments must be named objects: only their addresses are kept
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    const uint32_t shape[1] = {4};
    const uint32_t offset[1] = {0};
    Tensor whole = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_inout(whole, whole.view(shape, offset));
    rt_submit_aiv_task(0, args);
}
