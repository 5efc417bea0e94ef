// An orchestration that counts the steps of its life, and waits at each one as long as it is told to.
#include <ctime>

#include "cells.h"

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

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    arrive(life().configured, life().hold_config);
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

// Fills the output with 7. Argument: out.
extern "C" void lives(const ChipStorageTaskArgs &orch_args) {
    arrive(life().entered, life().hold_entry);
    fill(from_tensor_arg(orch_args.tensor(0)), 7);
}
