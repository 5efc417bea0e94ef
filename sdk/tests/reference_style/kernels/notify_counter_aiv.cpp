// Notifies a peer's counter in both ways there are, and waits for its own.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "platform_comm/comm_context.h"
#include "pto_async_kernel_api.h"
#include "tensor.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *own = reinterpret_cast<__gm__ Tensor *>(args[0]);
    __gm__ CommContext *comm = reinterpret_cast<__gm__ CommContext *>(args[1]);
    volatile __gm__ int32_t *mine =
        reinterpret_cast<volatile __gm__ int32_t *>(own->buffer.addr) + own->start_offset;
    uint64_t in_window = own->buffer.addr - comm->windowsIn[comm->rankId];
    for (uint32_t peer = 0; peer < comm->rankNum; ++peer) {
        volatile __gm__ int32_t *theirs =
            reinterpret_cast<volatile __gm__ int32_t *>(comm->windowsIn[peer] + in_window);
        pto2_send_notification(theirs, 1, pto::comm::NotifyOp::AtomicAdd);
        pto2_send_notification(theirs + 1, 1, pto::comm::NotifyOp::Set);
    }
    AsyncCtx ctx = get_async_ctx(args);
    save_expected_notification_counter(ctx, mine, comm->rankNum);
}
