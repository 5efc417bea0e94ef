// EXPECT: is private within this context
#include "pto_orchestration_api.h"

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {
    Tensor nothing;
    (void)nothing;
}
