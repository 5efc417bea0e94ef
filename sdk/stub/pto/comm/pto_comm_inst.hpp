// Stands in for the chip's communication headers, for kernels in plain C++ on the simulator.
//
// If the real headers are in the include path after this folder, they are used and nothing below
// exists. Defines what a kernel needs to notify a counter: on the simulator a peer's window is
// memory of the same machine. Source: spec trb §8.1, spec hbg_and_workers B9.
#pragma once

#if __has_include_next(<pto/comm/pto_comm_inst.hpp>)
#include_next <pto/comm/pto_comm_inst.hpp>
#else

#include <cstdint>

namespace pto::comm {

// How a notification changes the counter.
enum class NotifyOp { Set, AtomicAdd };

// A 32-bit counter that others look at.
struct Signal {
    explicit Signal(int32_t *address) : address(address) {}
    int32_t *address;
};

// Sets `signal` to `value`, or adds it. Whoever sees the new value sees all that was written before.
inline void TNOTIFY(const Signal &signal, int32_t value, NotifyOp op) {
    if (op == NotifyOp::Set) {
        __atomic_store_n(signal.address, value, __ATOMIC_RELEASE);
    } else {
        __atomic_fetch_add(signal.address, value, __ATOMIC_RELEASE);
    }
}

}  // namespace pto::comm

#endif
