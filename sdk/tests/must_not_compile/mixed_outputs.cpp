// EXPECT: add_output takes either TensorCreateInfo or Tensor objects, not a mixture
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor existing = from_tensor_arg(orch_args.tensor(0));
    TensorCreateInfo fresh(existing.shapes, 1);
    Arg args;
    args.add_output(existing, fresh);
    rt_submit_aiv_task(0, args);
}
