// Registers conditions for its block and lane, and returns.
// Arguments: a tensor, for the dependencies; address of the first counter, bytes from counter to
// counter, expected value, conditions, completion type, bytes from block to block, bytes from lane
// to lane.
#include "defer.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    uint64_t address = static_cast<uint64_t>(args[1]);
    const uint64_t stride = static_cast<uint64_t>(args[2]);
    address += static_cast<uint64_t>(args[6]) * static_cast<uint64_t>(get_block_idx(args));
    address += static_cast<uint64_t>(args[7]) * lane(args);
    AsyncCtx ctx = get_async_ctx(args);
    for (int64_t i = 0; i < args[4]; ++i) {
        defer_condition(ctx, address + stride * static_cast<uint64_t>(i),
                        static_cast<uint32_t>(args[3]), PTO2AsyncEngine::SDMA,
                        static_cast<PTO2CompletionType>(args[5]));
    }
    defer_flush(ctx);
}
