// EXPECT: use of deleted function
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {
    Arg args;
    const Tensor &out = rt_submit_aiv_task(0, args).get_ref(0);
    (void)out;
}
