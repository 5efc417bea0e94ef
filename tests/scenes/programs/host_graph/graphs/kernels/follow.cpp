// cell = salt + own number, and for each task before it 3 * cell + its cell.
// Words: cells: uint64; own number; whom it waits for: uint32; how many; salt.
#include "host_graph/words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *cells = memory_at<uint64_t>(args, 0);
    const uint64_t own = word_at<uint64_t>(args, 1);
    const __gm__ uint32_t *before = memory_at<uint32_t>(args, 2);
    const uint32_t count = word_at<uint32_t>(args, 3);
    uint64_t value = word_at<uint64_t>(args, 4) + own;
    for (uint32_t i = 0; i < count; ++i) value = 3 * value + cells[before[i]];
    cells[own] = value;
}
