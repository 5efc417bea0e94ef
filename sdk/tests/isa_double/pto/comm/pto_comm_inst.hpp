// A stand-in for the real communication headers; see pto-inst.hpp beside it.
#pragma once

#include <cstdint>

namespace pto::comm {
enum class NotifyOp { Set, AtomicAdd };

struct Signal {
    explicit Signal(int32_t *address) : address(address) {}
    int32_t *address;
};

inline void TNOTIFY(Signal &signal, int32_t value, NotifyOp op) {
    *signal.address = op == NotifyOp::Set ? value : *signal.address + value;
}

struct AsyncSession {};

struct AsyncEvent {
    uint32_t engine = 0;
    bool Wait(const AsyncSession &) const { return true; }
};
}  // namespace pto::comm
