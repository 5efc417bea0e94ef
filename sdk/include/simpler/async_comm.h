// The part of the deferred-completion interface that uses the chip's communication instructions.
//
// Notifications are present when communication headers are in the include path: the real ones, or
// the stub's. Every other name of theirs is used through a template parameter, so a kernel that does
// not communicate does not depend on them.
// Source: spec trb §8.3.
#pragma once

#if __has_include(<pto/comm/pto_comm_inst.hpp>)
#include <pto/comm/pto_comm_inst.hpp>

// Applies `op` with `value` to the i32 counter at `addr`, which may be in a peer's window.
template <typename Counter, typename Operation>
static __aicore__ inline void pto2_send_notification(Counter *addr, int32_t value, Operation op) {
    pto::comm::Signal signal(const_cast<__gm__ int32_t *>(
        reinterpret_cast<volatile __gm__ int32_t *>(addr)));
    pto::comm::TNOTIFY(signal, value, op);
}
#endif

// The task completes when `event` has. Only SDMA events can be waited for by the scheduler: others
// are error 101. Returns whether the event is taken care of.
//
// The event is waited for here, in deferred tasks too: the place of a queue's event records is
// known to the communication headers alone. Correct, though the core is busy meanwhile.
template <typename Event, typename Session>
static __aicore__ inline bool defer_pto_async_event(const AsyncCtx &ctx, const Event &event,
                                                    const Session &session) {
    if (async_ctx_is_deferred(ctx) &&
        static_cast<uint32_t>(event.engine) != static_cast<uint32_t>(PTO2AsyncEngine::SDMA)) {
        defer_error(ctx, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
        return false;
    }
    return event.Wait(session);
}
