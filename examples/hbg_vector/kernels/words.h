// The arguments of a kernel of hbg: the words that add_task was given, as they are.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "simpler/scalar_bits.h"

// The word `index` as the address of floats in device memory.
static inline __aicore__ __gm__ float *floats(__gm__ int64_t *args, int index) {
    return reinterpret_cast<__gm__ float *>(args[index]);
}
