// What the kernels of several ranks share: the windows of a communicator, and time.
#pragma once

#include "cells.h"
#include "platform_comm/comm_context.h"

// Cells from this byte of a window on; signals are before.
constexpr uint64_t WINDOW_CELLS_OFFSET = 64;

static inline __aicore__ __gm__ CommContext *comm_at(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ CommContext *>(args[index]);
}

// The signal of a rank's window.
static inline __aicore__ __gm__ uint32_t *signal_of(__gm__ CommContext *comm, uint32_t rank) {
    return reinterpret_cast<__gm__ uint32_t *>(comm->windowsIn[rank]);
}

// The cells of a rank's window.
static inline __aicore__ __gm__ uint64_t *cells_of(__gm__ CommContext *comm, uint32_t rank) {
    return reinterpret_cast<__gm__ uint64_t *>(comm->windowsIn[rank] + WINDOW_CELLS_OFFSET);
}

static inline uint64_t nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}
