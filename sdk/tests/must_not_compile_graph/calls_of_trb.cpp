// EXPECT: rt_submit_aiv_task
#include "orchestration_api.h"

extern "C" int build_graph(OrchestrationRuntime *, const ChipStorageTaskArgs &) {
    rt_submit_aiv_task(0);
    return 0;
}
