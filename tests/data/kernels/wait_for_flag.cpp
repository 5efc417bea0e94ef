// Writes 1 to its cell when the flag is set, and not before.
// Arguments: out; address of the flag.
#include <ctime>

#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    auto *flag = reinterpret_cast<uint32_t *>(args[1]);
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0) {
        const timespec pause{0, 200000};
        nanosleep(&pause, nullptr);
    }
    cells_at(args, 0)[0] = 1;
}
