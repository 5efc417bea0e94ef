// Ends its process in the way that its scalar names; else adds one to each cell.
// Arguments: cells; way.
#include <stdlib.h>

#include "cells.h"

[[gnu::noinline]] static void call(void (*volatile function)()) {
    function();
    asm volatile("" ::: "memory");
}

[[gnu::noinline]] static uint64_t descend(uint64_t depth) {
    volatile uint64_t room[64];
    room[depth % 64] = depth;
    if (depth == 0) return 0;
    return descend(depth + 1) + room[depth % 64];
}

[[gnu::noinline]] static void give_up() { abort(); }

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    switch (args[1]) {
        case 1: call(nullptr); break;
        case 2: give_up(); break;
        case 3:
            for (volatile int turn = 0; turn == 0;) {
            }
            break;
        case 4: descend(1); break;
        default: break;
    }
    __gm__ uint64_t *cells = cells_at(args, 0);
    for (uint32_t i = 0; i < count_at(args, 0); ++i) cells[i] += 1;
}
