// The windows of two ranks: a counter in the first cache line, the mailbox behind it.
#pragma once

#include "cells/kernels/linger.h"
#include "elements.h"
#include "platform_comm/comm_context.h"
#include "pto_async_kernel_api.h"

static inline __aicore__ __gm__ CommContext *comm_at(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ CommContext *>(args[index]);
}

static inline __aicore__ uint32_t peer_of(__gm__ CommContext *comm) { return 1 - comm->rankId; }

static inline __aicore__ volatile __gm__ uint32_t *counter_of(__gm__ CommContext *comm,
                                                              uint32_t rank) {
    return reinterpret_cast<volatile __gm__ uint32_t *>(comm->windowsIn[rank]);
}

static inline __aicore__ __gm__ float *mailbox_of(__gm__ CommContext *comm, uint32_t rank) {
    return reinterpret_cast<__gm__ float *>(comm->windowsIn[rank] + 64);
}
