// An orchestration on the host that counts the steps of its life, and waits at each one as long as it is
// told to, as `orchestrations/life.cpp` does on the device.
#include <atomic>
#include <ctime>

#include "orchestration_api.h"

namespace {
struct Life {
    std::atomic<uint32_t> constructed, entered, destroyed;
    std::atomic<uint32_t> hold_constructor, hold_entry, hold_destructor;
    std::atomic<uint32_t> configured, hold_config;
};

// A test finds the first word in the file and writes the address of its `Life` over the second one:
// constructors have no arguments.
volatile uint64_t place[2] = {0x4C1F'E0FA'0C0D'E0FA, 0};

Life &life() { return *reinterpret_cast<Life *>(place[1]); }

void arrive(std::atomic<uint32_t> &count, const std::atomic<uint32_t> &hold) {
    ++count;
    while (hold.load() != 0) {
        const timespec pause{0, 1'000'000};
        nanosleep(&pause, nullptr);
    }
}

struct Resident {
    Resident() { arrive(life().constructed, life().hold_constructor); }
    ~Resident() { arrive(life().destroyed, life().hold_destructor); }
};
Resident resident;
}  // namespace

// Builds a graph without tasks.
extern "C" int lives(OrchestrationRuntime *, const ChipStorageTaskArgs &) {
    arrive(life().entered, life().hold_entry);
    return 0;
}
