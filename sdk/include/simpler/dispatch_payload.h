// What a core gets with a task.
//
// The scheduler fills one payload for each core and parity of the dispatch; the core calls the
// kernel with the address of `args`. Kernels reach the two contexts through the last two arguments,
// see intrinsic.h. Source: spec trb §3.1, §6.4.
#pragma once

#include <cstdint>

#include "pto_completion_ingress.h"
#include "pto_task_id.h"
#include "simpler/layout.h"
#include "simpler/limits.h"
#include "simpler/qualifiers.h"

// Where a kernel registers conditions for the completion of its task; see pto_async_kernel_api.h.
struct AsyncCtx {
    __gm__ uint32_t *completion_count;
    __gm__ int32_t *completion_error_code;
    __gm__ PTO2DeferredCompletionEntry *completion_entries;
    uint32_t completion_capacity;  // entries
    PTO2TaskId task_token;         // invalid: this task cannot be deferred
};

SIMPLER_ASSERT_RECORD(AsyncCtx, 40, 8);
SIMPLER_ASSERT_FIELD(AsyncCtx, completion_count, 0, 8);
SIMPLER_ASSERT_FIELD(AsyncCtx, completion_error_code, 8, 8);
SIMPLER_ASSERT_FIELD(AsyncCtx, completion_entries, 16, 8);
SIMPLER_ASSERT_FIELD(AsyncCtx, completion_capacity, 24, 4);
SIMPLER_ASSERT_FIELD(AsyncCtx, task_token, 32, 8);

// What differs between the blocks of a task. Chip a5 spells the first two fields with "s_", since
// its compiler has built-ins of the plain names; elsewhere both spellings work.
struct LocalContext {
#ifdef SIMPLER_CHIP_A5
    int32_t s_block_idx;
    int32_t s_block_num;
#else
    union {
        int32_t block_idx;
        int32_t s_block_idx;
    };
    union {
        int32_t block_num;
        int32_t s_block_num;
    };
#endif
    AsyncCtx async_ctx;
};

SIMPLER_ASSERT_RECORD(LocalContext, 48, 8);
SIMPLER_ASSERT_FIELD(LocalContext, s_block_idx, 0, 4);
SIMPLER_ASSERT_FIELD(LocalContext, s_block_num, 4, 4);
SIMPLER_ASSERT_FIELD(LocalContext, async_ctx, 8, 40);

// What differs between the cores of a cluster, for the whole run.
struct GlobalContext {
    int32_t sub_block_id;  // vector core 0 or 1 of the cluster
};

SIMPLER_ASSERT_RECORD(GlobalContext, 4, 4);
SIMPLER_ASSERT_FIELD(GlobalContext, sub_block_id, 0, 4);

struct alignas(64) PTO2DispatchPayload {
    uint64_t function_bin_addr;
    uint64_t args[SIMPLER_DISPATCH_ARGS];  // tensor addresses, then scalars; 48, 49: the contexts
    LocalContext local_context;
    GlobalContext global_context;
    uint8_t reserved_payload_abi_pad[8];
};

SIMPLER_ASSERT_RECORD(PTO2DispatchPayload, 512, 64);
SIMPLER_ASSERT_FIELD(PTO2DispatchPayload, function_bin_addr, 0, 8);
SIMPLER_ASSERT_FIELD(PTO2DispatchPayload, args, 8, 400);
SIMPLER_ASSERT_FIELD(PTO2DispatchPayload, local_context, 408, 48);
SIMPLER_ASSERT_FIELD(PTO2DispatchPayload, global_context, 456, 4);
SIMPLER_ASSERT_FIELD(PTO2DispatchPayload, reserved_payload_abi_pad, 460, 8);
