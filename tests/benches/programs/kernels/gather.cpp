// cells[own] = constant + own + the sum of `count` cells from `first` on.
// Words: cells, own, first, count, constant.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "simpler/qualifiers.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *cells = reinterpret_cast<__gm__ uint64_t *>(args[0]);
    uint64_t sum = static_cast<uint64_t>(args[4]) + static_cast<uint64_t>(args[1]);
    for (int64_t i = 0; i < args[3]; ++i) sum += cells[args[2] + i];
    cells[args[1]] = sum;
}
