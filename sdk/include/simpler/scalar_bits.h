// Scalars travel as 64-bit patterns.
//
// An orchestration packs a value with `to_u64`, a kernel unpacks it with `from_u64`. Both keep the
// bits (1.0f becomes 0x3f800000, not 1) and fill the upper bytes with zero, also for negative
// integers. Little-endian machines only. Source: spec trb §1.4, spec callable §1.2.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simpler/qualifiers.h"

// Bit pattern of `value`, extended with zero bytes.
template <typename T>
__aicore__ inline uint64_t to_u64(T value) {
    static_assert(std::is_trivially_copyable<T>::value, "a scalar is copied as bytes");
    static_assert(sizeof(T) <= sizeof(uint64_t), "a scalar has at most 8 bytes");
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    return bits;
}

// The value whose bit pattern is the low `sizeof(T)` bytes of `bits`.
template <typename T>
__aicore__ inline T from_u64(uint64_t bits) {
    static_assert(std::is_trivially_copyable<T>::value, "a scalar is copied as bytes");
    static_assert(sizeof(T) <= sizeof(uint64_t), "a scalar has at most 8 bytes");
    T value;
    __builtin_memcpy(&value, &bits, sizeof(T));
    return value;
}
