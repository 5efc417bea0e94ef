// An orchestration with std::call_once, which libstdc++ implements with thread-local variables.
#include <mutex>

#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    static std::once_flag flag;
    std::call_once(flag, [&] { LOG_INFO_V9("%d tensors", orch_args.tensor_count()); });
}
