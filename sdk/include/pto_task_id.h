// The id of a submitted task. Source: spec trb §1.5.
#pragma once

#include <cstdint>

#include "simpler/layout.h"

// Ring number in the upper half, a number that counts up within that ring in the lower half.
// Trivial on purpose: it lives in records that cross the binary interface, so it has no default
// value; write `PTO2TaskId::invalid()` for "none".
struct PTO2TaskId {
    uint64_t raw;

    static constexpr PTO2TaskId make(uint8_t ring, uint32_t local) {
        return PTO2TaskId{(static_cast<uint64_t>(ring) << 32) | local};
    }
    static constexpr PTO2TaskId invalid() { return PTO2TaskId{~uint64_t{0}}; }

    constexpr uint8_t ring() const { return static_cast<uint8_t>(raw >> 32); }
    constexpr uint32_t local() const { return static_cast<uint32_t>(raw); }
    constexpr bool is_valid() const { return raw != ~uint64_t{0}; }
    constexpr bool is_invalid() const { return !is_valid(); }
    constexpr bool operator==(const PTO2TaskId &other) const { return raw == other.raw; }
    constexpr bool operator!=(const PTO2TaskId &other) const { return raw != other.raw; }
};

SIMPLER_ASSERT_RECORD(PTO2TaskId, 8, 8);
SIMPLER_ASSERT_FIELD(PTO2TaskId, raw, 0, 8);
