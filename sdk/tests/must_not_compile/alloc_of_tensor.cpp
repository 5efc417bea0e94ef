// EXPECT: alloc_tensors takes TensorCreateInfo objects
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor existing = from_tensor_arg(orch_args.tensor(0));
    TensorCreateInfo fresh(existing.shapes, 1);
    (void)alloc_tensors(fresh, existing);
}
