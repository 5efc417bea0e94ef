// Registers conditions for the completion of its task in every way there is.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "pto_async_kernel_api.h"
#include "pto_completion_ingress.h"
#include "pto_runtime_status.h"
#include "tensor.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *counter = reinterpret_cast<__gm__ Tensor *>(args[0]);
    volatile __gm__ int32_t *address =
        reinterpret_cast<volatile __gm__ int32_t *>(counter->buffer.addr);
    uint32_t expected = static_cast<uint32_t>(args[1]);

    AsyncCtx ctx = get_async_ctx(args);
    if (!async_ctx_is_deferred(ctx)) return;
    defer_load_ingress(ctx);
    defer_condition(ctx, counter->buffer.addr, expected, PTO2AsyncEngine::SDMA,
                    PTO2CompletionType::COUNTER);
    defer_condition(ctx, address, expected, PTO2AsyncEngine::ROCE, PTO2CompletionType::COUNTER);
    defer_counter(ctx, counter->buffer.addr + 64, expected);
    __gm__ PTO2SdmaEventRecord *record =
        reinterpret_cast<__gm__ PTO2SdmaEventRecord *>(counter->buffer.addr + 128);
    defer_sdma_event_record(ctx, record);
    if (expected == 0) defer_error(ctx, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    defer_flush_range(address, 64);
    defer_flush(ctx);
    save_expected_notification_counter(ctx, address, expected);
}
