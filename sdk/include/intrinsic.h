// Who am I: block, number of blocks, vector core. For kernels.
//
// `args` is what kernel_entry received. Source: spec trb §6.4, §8.1.
#pragma once

#include <cstdint>

#include "simpler/dispatch_payload.h"
#include "simpler/limits.h"
#include "simpler/qualifiers.h"
#include "simpler/scalar_bits.h"

namespace simpler {
static __aicore__ inline __gm__ LocalContext *local_context(__gm__ int64_t *args) {
    return reinterpret_cast<__gm__ LocalContext *>(args[SIMPLER_LOCAL_CONTEXT_ARG]);
}

static __aicore__ inline __gm__ GlobalContext *global_context(__gm__ int64_t *args) {
    return reinterpret_cast<__gm__ GlobalContext *>(args[SIMPLER_GLOBAL_CONTEXT_ARG]);
}
}  // namespace simpler

// Which block of the task this is, from 0.
static __aicore__ inline int32_t get_block_idx(__gm__ int64_t *args) {
    return simpler::local_context(args)->s_block_idx;
}

// How many blocks the task has.
static __aicore__ inline int32_t get_block_num(__gm__ int64_t *args) {
    return simpler::local_context(args)->s_block_num;
}

// Which vector core of the cluster this is, 0 or 1; 0 on the cube core.
static __aicore__ inline int32_t get_sub_block_id(__gm__ int64_t *args) {
    return simpler::global_context(args)->sub_block_id;
}

// The task's completion context, for the functions of pto_async_kernel_api.h.
static __aicore__ inline AsyncCtx get_async_ctx(__gm__ int64_t *args) {
    __gm__ LocalContext *context = simpler::local_context(args);
#if defined(__CCE_AICORE__) && !defined(__CPU_SIM)
    // The scheduler rewrites this payload for every second task; drop what an earlier one left.
    dcci(reinterpret_cast<__gm__ void *>(context), SINGLE_CACHE_LINE, CACHELINE_OUT);
#endif
    return context->async_ctx;
}
