// EXPECT: TaskSubmitResult
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {
    Arg args;
    TaskSubmitResult result = rt_submit_aiv_task(0, args);
    (void)result;
}
