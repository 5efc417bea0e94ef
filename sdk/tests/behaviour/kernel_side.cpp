// What kernels see through their argument list (spec trb §6.4, §8.3).
#include <cstdint>
#include <cstring>

#include "check.h"
#include "pto_async_kernel_api.h"

namespace {
// A payload as the scheduler fills it, with an ingress of `capacity` conditions.
struct Dispatch {
    PTO2DispatchPayload payload;
    PTO2DeferredCompletionIngressBuffer ingress;

    explicit Dispatch(uint32_t capacity, PTO2TaskId token) {
        std::memset(static_cast<void *>(this), 0, sizeof *this);
        payload.local_context.s_block_idx = 5;
        payload.local_context.s_block_num = 12;
        payload.global_context.sub_block_id = 1;
        payload.local_context.async_ctx = {&ingress.count, &ingress.error_code, ingress.entries,
                                           capacity, token};
        payload.args[48] = reinterpret_cast<uint64_t>(&payload.local_context);
        payload.args[49] = reinterpret_cast<uint64_t>(&payload.global_context);
    }

    int64_t *args() { return reinterpret_cast<int64_t *>(payload.args); }
};
}  // namespace

void check_kernel_contexts() {
    Dispatch dispatch(4, PTO2TaskId::make(1, 2));
    CHECK(get_block_idx(dispatch.args()) == 5 && get_block_num(dispatch.args()) == 12);
    CHECK(get_sub_block_id(dispatch.args()) == 1);
    CHECK(dispatch.payload.local_context.s_block_idx == 5);
#ifndef SIMPLER_CHIP_A5
    CHECK(dispatch.payload.local_context.block_idx == 5);
#endif
    CHECK(get_async_ctx(dispatch.args()).task_token == PTO2TaskId::make(1, 2));
}

void check_notifications() {
    alignas(4) int32_t counter = 5;
    volatile int32_t *seen = &counter;
    pto2_send_notification(&counter, 3, pto::comm::NotifyOp::AtomicAdd);
    CHECK(*seen == 8);
    pto2_send_notification(seen, -10, pto::comm::NotifyOp::AtomicAdd);
    CHECK(*seen == -2);
    pto2_send_notification(reinterpret_cast<uint32_t *>(&counter), 7, pto::comm::NotifyOp::Set);
    CHECK(*seen == 7);
}

void check_deferred_completion() {
    Dispatch dispatch(3, PTO2TaskId::make(0, 0));
    AsyncCtx ctx = get_async_ctx(dispatch.args());
    uint32_t counter = 0;
    PTO2SdmaEventRecord record = {};
    CHECK(async_ctx_is_deferred(ctx));
    defer_condition(ctx, uint64_t{0x1000}, 7, PTO2AsyncEngine::URMA, PTO2CompletionType::COUNTER);
    defer_sdma_event_record(ctx, &record);
    save_expected_notification_counter(ctx, &counter, 2);
    const PTO2DeferredCompletionEntry *entries = dispatch.ingress.entries;
    CHECK(dispatch.ingress.count == 3 && dispatch.ingress.error_code == 0);
    CHECK(entries[0].addr == 0x1000 && entries[0].expected_value == 7 && entries[0].engine == 2);
    CHECK(entries[0].completion_type == 0);
    CHECK(entries[1].addr == reinterpret_cast<uint64_t>(&record) && entries[1].engine == 0);
    CHECK(entries[1].completion_type == 1);
    CHECK(entries[2].addr == reinterpret_cast<uint64_t>(&counter) && entries[2].engine == 0);
    CHECK(entries[2].expected_value == 2 && entries[2].completion_type == 0);

    defer_counter(ctx, uint64_t{0x2000}, 1);
    CHECK(dispatch.ingress.count == 3 && dispatch.ingress.error_code == 102);
    CHECK(entries[3].addr == 0);
    defer_error(ctx, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    CHECK(dispatch.ingress.error_code == 101);

    // A task that is not deferred registers nothing.
    Dispatch plain(3, PTO2TaskId::invalid());
    AsyncCtx none = get_async_ctx(plain.args());
    CHECK(!async_ctx_is_deferred(none));
    defer_load_ingress(none);
    defer_counter(none, &counter, 1);
    defer_error(none, PTO2_ERROR_ASYNC_WAIT_OVERFLOW);
    defer_flush(none);
    CHECK(plain.ingress.count == 0 && plain.ingress.error_code == 0);
    AsyncCtx empty = {nullptr, nullptr, nullptr, 3, PTO2TaskId::make(0, 0)};
    defer_counter(empty, &counter, 1);
    defer_error(empty, 1);
    defer_flush(empty);
}
