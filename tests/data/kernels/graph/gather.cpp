// cells[own] = salt + own + the sum of `count` cells from `first` on.
// Words: cells: uint64; own, first, count, salt.
#include "words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *cells = memory_at<uint64_t>(args, 0);
    const uint64_t own = word_at<uint64_t>(args, 1);
    const __gm__ uint64_t *first = cells + args[2];
    uint64_t sum = word_at<uint64_t>(args, 4) + own;
    for (int64_t i = 0; i < args[3]; ++i) sum += first[i];
    cells[own] = sum;
}
