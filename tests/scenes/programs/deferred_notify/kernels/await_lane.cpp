// Returns at once; its part of the task completes when its core's counter is two.
// Arguments: token, counters: uint32, one in each cache line.
#include "peers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    uint64_t core = 3 * static_cast<uint64_t>(get_block_idx(args));
#ifndef __DAV_CUBE__
    core += 1 + static_cast<uint64_t>(get_sub_block_id(args));
#endif
    AsyncCtx ctx = get_async_ctx(args);
    save_expected_notification_counter(ctx, elements<uint32_t>(args, 1) + 16 * core, 2);
}
