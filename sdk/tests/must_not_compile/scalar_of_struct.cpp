// EXPECT: add_scalar takes numbers and enums
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {
    Arg args;
    args.add_scalar(PTO2TaskId::invalid());
    rt_submit_aiv_task(0, args);
}
