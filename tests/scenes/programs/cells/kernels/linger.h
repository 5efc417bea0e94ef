// Passing time in a kernel.
#pragma once

#include <cstdint>
#include <ctime>

// Passes some time without the processor, so that a consumer that does not wait reads too early.
static inline void linger(uint64_t microseconds) {
    if (microseconds == 0) return;
    timespec pause{};
    pause.tv_sec = static_cast<time_t>(microseconds / 1000000);
    pause.tv_nsec = static_cast<long>(microseconds % 1000000 * 1000);
    nanosleep(&pause, nullptr);
}
