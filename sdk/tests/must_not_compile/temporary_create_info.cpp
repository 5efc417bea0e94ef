// EXPECT: task arguments must be named objects: only their addresses are kept
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Arg args;
    args.add_output(TensorCreateInfo(orch_args.tensor(0).shapes, 1));
    rt_submit_aiv_task(0, args);
}
