// An orchestration with a static object whose constructor takes a second.
#include <ctime>

#include "pto_orchestration_api.h"

namespace {
struct Slow {
    Slow() {
        timespec left{1, 0};
        while (nanosleep(&left, &left) != 0) {
        }
    }
};
Slow slow;
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {}
