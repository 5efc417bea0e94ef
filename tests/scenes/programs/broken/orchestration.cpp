// One task that stores its first scalar, or crashes if the second is not zero.
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_output(out);
    args.add_scalar(orch_args.scalar(0), orch_args.scalar(1));
    rt_submit_aiv_task(0, args);
}
