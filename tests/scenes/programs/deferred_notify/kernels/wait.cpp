// Returns at once; its task completes when the own mailbox has been filled `expected` times.
// Arguments: token; context, expected.
#include "peers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ CommContext *comm = comm_at(args, 1);
    AsyncCtx ctx = get_async_ctx(args);
    save_expected_notification_counter(ctx, counter_of(comm, comm->rankId),
                                       scalar_at<uint32_t>(args, 2));
}
