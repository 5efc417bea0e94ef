// A run that the orchestration itself declares failed; what follows must do nothing.
#include <stdint.h>

#include "pto_orchestration_api.h"

extern "C" {

__attribute__((visibility("default"))) PTO2OrchestrationConfig aicpu_orchestration_config(
    const ChipStorageTaskArgs &orch_args) {
    (void)orch_args;
    return PTO2OrchestrationConfig{.expected_arg_count = 0};
}

__attribute__((visibility("default"))) void aicpu_orchestration_entry(
    const ChipStorageTaskArgs &orch_args) {
    if (orch_args.tensor_count() + orch_args.scalar_count() > 0) {
        LOG_ERROR("no arguments expected, got %d tensors and %d scalars", orch_args.tensor_count(),
                  orch_args.scalar_count());
    }
    uint32_t shapes[1] = {1};
    TensorCreateInfo ci(shapes, 1, DataType::INT32);
    TaskOutputTensors before = alloc_tensors(ci);
    LOG_INFO_V0("allocated %u", before.size());

    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "stopped on purpose: %s", "no work");
    if (orch_args.tensor_count() < 0) rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "never");

    Arg nothing;
    (void)alloc_tensors(nothing);
    Tensor wild = make_tensor_external(reinterpret_cast<void *>(0x1), shapes, 1, DataType::INT32);
    uint32_t at[1] = {0};
    (void)get_tensor_data<int32_t>(wild, 1, at);
    set_tensor_data<int32_t>(wild, 1, at, 5);
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_end();
    PTO2_SCOPE(PTO2ScopeMode::AUTO) { rt_submit_aiv_task(0, nothing); }
}

}  // extern "C"
