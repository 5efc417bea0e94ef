// Speaks at every level, and fails with its scalar as the code, if that is not 0.
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &args) {
    LOG_DEBUG("no. %d", 1);
    LOG_INFO_V0("tier %d", 0);
    LOG_INFO_V4("tier %d", 4);
    LOG_INFO_V5("tier %d", 5);
    LOG_INFO_V9("tier %d of %s, %#x", 9, "nine", 0x2a);
    LOG_WARN("look: %5.2f", 2.5);
    LOG_ERROR("bad: %s", "\xc3\xa9");
    if (args.scalar(0) != 0) {
        rt_report_fatal(static_cast<int>(args.scalar(0)), "scalar is %d", 7);
    }
}
