// Orchestrations that end their process, each in the way that its scalar names; also by their kernel.
#include <cstdlib>

#include "cells.h"

#define FUNC_CRASH 6

namespace {
enum Way : uint64_t { SOUND, CALL_NULL, ABORT, ENDLESS, OVERFLOW_STACK, WRITE_NULL, WRITE_WILD };
}  // namespace

// Functions that the compiler leaves as they are, to be found in a back-trace.
[[gnu::noinline]] static void call(void (*volatile function)()) {
    function();
    asm volatile("" ::: "memory");
}

[[gnu::noinline]] static void give_up() {
    std::abort();
}

[[gnu::noinline]] static uint64_t descend(uint64_t depth) {
    volatile uint64_t room[64];
    room[depth % 64] = depth;
    if (depth == 0) return 0;
    return descend(depth + 1) + room[depth % 64];
}

[[gnu::noinline]] static void write_null() {
    volatile int *volatile nowhere = nullptr;
    *nowhere = 1;
    asm volatile("" ::: "memory");
}

// Where no program ever has anything: not an address that the processor could put through.
[[gnu::noinline]] static void write_wild() {
    volatile int *volatile wild = reinterpret_cast<int *>(0xDEAD'BEEF'DEAD'BEEF);
    *wild = 1;
    asm volatile("" ::: "memory");
}

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 2};
}

// Goes wrong in the entry.
void crashes(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 7);
    switch (orch_args.scalar(0)) {
        case CALL_NULL: call(nullptr); break;
        case ABORT: give_up(); break;
        case ENDLESS:
            for (volatile int turn = 0; turn == 0;) {}
            break;
        case OVERFLOW_STACK: descend(1); break;
        case WRITE_NULL: write_null(); break;
        case WRITE_WILD: write_wild(); break;
        default: break;
    }
}

// Goes wrong in its kernel.
void kernel_crashes(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 7);
    Arg args;
    args.add_inout(out);
    args.add_scalar(static_cast<uint64_t>(orch_args.scalar(0)));
    rt_submit_aiv_task(FUNC_CRASH, args);
}

}  // extern "C"
