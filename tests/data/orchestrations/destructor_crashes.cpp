// An orchestration with a static object whose destructor writes to where nothing is.
#include "pto_orchestration_api.h"

[[gnu::noinline]] static void write_null() {
    volatile int *volatile nowhere = nullptr;
    *nowhere = 1;
    asm volatile("" ::: "memory");
}

namespace {
struct Crash {
    ~Crash() { write_null(); }
};
Crash crash;
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {}
