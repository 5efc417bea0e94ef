// Leaves an error code, or a count that no call of the headers would leave.
// Arguments: a tensor, for the dependencies; error code, count.
#include "defer.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    AsyncCtx ctx = get_async_ctx(args);
    if (args[1] != 0) defer_error(ctx, static_cast<int32_t>(args[1]));
    if (args[2] != 0) *ctx.completion_count = static_cast<uint32_t>(args[2]);
    defer_flush(ctx);
}
