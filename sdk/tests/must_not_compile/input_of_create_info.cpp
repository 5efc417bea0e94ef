// EXPECT: this method takes Tensor objects
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    TensorCreateInfo fresh(orch_args.tensor(0).shapes, 1);
    Arg args;
    args.add_input(fresh);
    rt_submit_aiv_task(0, args);
}
