// EXPECT: add_dep takes PTO2TaskId
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {
    Arg args;
    args.add_dep(7);
    rt_submit_aiv_task(0, args);
}
