// The arguments of a task of a host-built graph as its kernel sees them: bare words.
#pragma once

#include <cstdint>

#include <pto/pto-inst.hpp>

#include "simpler/qualifiers.h"
#include "simpler/scalar_bits.h"

// Word `index` as the address of elements.
template <typename T>
static inline __aicore__ __gm__ T *memory_at(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ T *>(args[index]);
}

// Word `index` as a scalar: its low bytes.
template <typename T>
static inline __aicore__ T word_at(__gm__ int64_t *args, int index) {
    return from_u64<T>(static_cast<uint64_t>(args[index]));
}
