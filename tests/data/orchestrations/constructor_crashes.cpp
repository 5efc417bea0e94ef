// An orchestration with a static object whose constructor writes to where nothing is.
#include "pto_orchestration_api.h"

namespace {
struct Crash {
    Crash() {
        volatile int *volatile nowhere = nullptr;
        *nowhere = 1;
    }
};
Crash crash;
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {}
