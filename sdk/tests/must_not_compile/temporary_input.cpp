// EXPECT: task arguments must be named objects: only their addresses are kept
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Arg args;
    args.add_input(from_tensor_arg(orch_args.tensor(0)));
    rt_submit_aiv_task(0, args);
}
