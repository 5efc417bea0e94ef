// EXPECT: CoreType
#include "orchestration_api.h"

extern "C" int build_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &) {
    uint64_t args[1] = {0};
    return add_task(rt, args, 1, 0, 1);
}
