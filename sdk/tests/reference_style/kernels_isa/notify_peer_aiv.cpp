// Tells a peer that its data has arrived, and lets the task end with an asynchronous copy.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "pipe_sync.h"
#include "platform_comm/comm_context.h"
#include "pto_async_kernel_api.h"
#include "tensor.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ CommContext *comm = reinterpret_cast<__gm__ CommContext *>(args[1]);
    uint32_t peer = comm->rankId == 0 ? 1 : 0;
    volatile __gm__ int32_t *counter =
        reinterpret_cast<volatile __gm__ int32_t *>(comm->windowsIn[peer]);
    pto2_send_notification(counter, 1, pto::comm::NotifyOp::AtomicAdd);

    AsyncCtx ctx = get_async_ctx(args);
    pto::comm::AsyncSession session;
    pto::comm::AsyncEvent event;
    defer_pto_async_event(ctx, event, session);
    defer_flush(ctx);
    pipe_sync();
}
