// Deferred completion: a kernel returns, and its task completes when conditions hold.
//
// A kernel takes its context with get_async_ctx, registers conditions, flushes, returns. In a task
// without a valid token all of this does nothing and the task completes as usual. The context is a
// copy; what it points at is shared with the scheduler. Source: spec trb §8.3.
#pragma once

#include <pto/pto-inst.hpp>

#include <cstdint>

#include "intrinsic.h"
#include "pto_completion_ingress.h"
#include "pto_runtime_status.h"
#include "simpler/cache_lines.h"
#include "simpler/qualifiers.h"

static __aicore__ inline bool async_ctx_is_deferred(const AsyncCtx &ctx) {
    return ctx.task_token.is_valid();
}

// Writes one range, or nothing if `addr` is 0, back to memory.
static __aicore__ inline void defer_flush_range(const volatile __gm__ void *addr, uint64_t bytes) {
    if (addr != nullptr && bytes != 0) simpler::synchronise_lines(addr, bytes);
}

// Ends the run with `code` (pto_runtime_status.h) once the kernel has flushed and returned.
static __aicore__ inline void defer_error(const AsyncCtx &ctx, int32_t code) {
    if (!async_ctx_is_deferred(ctx) || ctx.completion_error_code == nullptr) return;
    *ctx.completion_error_code = code;
}

// The task completes when the value at `addr` satisfies `type` with `expected`. More conditions
// than the context holds are error 102. Engine and type: the enums, or their numbers.
template <typename Engine, typename Type>
static __aicore__ inline void defer_condition(const AsyncCtx &ctx, uint64_t addr, uint32_t expected,
                                              Engine engine, Type type) {
    if (!async_ctx_is_deferred(ctx) || ctx.completion_count == nullptr ||
        ctx.completion_entries == nullptr) {
        return;
    }
    const uint32_t count = *ctx.completion_count;
    if (count >= ctx.completion_capacity) {
        defer_error(ctx, PTO2_ERROR_ASYNC_WAIT_OVERFLOW);
        return;
    }
    __gm__ PTO2DeferredCompletionEntry *entry = &ctx.completion_entries[count];
    entry->addr = addr;
    entry->expected_value = expected;
    entry->engine = static_cast<uint32_t>(engine);
    entry->completion_type = static_cast<int32_t>(type);
    entry->_pad = 0;
    *ctx.completion_count = count + 1;
}

template <typename Pointee, typename Engine, typename Type>
static __aicore__ inline void defer_condition(const AsyncCtx &ctx, Pointee *addr, uint32_t expected,
                                              Engine engine, Type type) {
    defer_condition(ctx, reinterpret_cast<uint64_t>(addr), expected, engine, type);
}

// The counter (u32) at `addr` reaches `expected`.
template <typename Address>
static __aicore__ inline void defer_counter(const AsyncCtx &ctx, Address addr, uint32_t expected) {
    defer_condition(ctx, addr, expected, PTO2AsyncEngine::SDMA, PTO2CompletionType::COUNTER);
}

// The SDMA engine sets the flag of the event record at `record`.
template <typename Address>
static __aicore__ inline void defer_sdma_event_record(const AsyncCtx &ctx, Address record) {
    defer_condition(ctx, record, 0, PTO2AsyncEngine::SDMA, PTO2CompletionType::SDMA_EVENT_RECORD);
}

// Hands the registered conditions over; a kernel calls it last, before it returns.
static __aicore__ inline void defer_flush(const AsyncCtx &ctx) {
    if (!async_ctx_is_deferred(ctx) || ctx.completion_count == nullptr) return;
    const uint64_t entries = *ctx.completion_count;
    // Entries before the count that reveals them.
    defer_flush_range(ctx.completion_entries, entries * sizeof(PTO2DeferredCompletionEntry));
    defer_flush_range(ctx.completion_error_code, sizeof(int32_t));
    defer_flush_range(ctx.completion_count, sizeof(uint32_t));
}

// Drops what the core has cached of the ingress, before it continues a list begun elsewhere.
static __aicore__ inline void defer_load_ingress(const AsyncCtx &ctx) {
    if (!async_ctx_is_deferred(ctx)) return;
    defer_flush_range(ctx.completion_count, sizeof(uint32_t));
    defer_flush_range(ctx.completion_error_code, sizeof(int32_t));
}

// The whole sequence for a task that ends when a peer has notified it `expected` times.
template <typename Address>
static __aicore__ inline void save_expected_notification_counter(const AsyncCtx &ctx, Address addr,
                                                                 uint32_t expected) {
    defer_counter(ctx, addr, expected);
    defer_flush(ctx);
}

#include "simpler/async_comm.h"
