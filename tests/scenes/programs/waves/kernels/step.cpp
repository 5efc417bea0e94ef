// Each core of the task turns its own cell: cell = 3 * cell + wave + core. Cube core 0, vector
// cores 1 and 2 of a mixed task; a task on one core has one cell.
// Arguments: cells: uint64 [3] or [1]; wave.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    uint64_t core = 0;
#ifndef __DAV_CUBE__
    if (element_count(args, 0) == 3) core = 1 + static_cast<uint64_t>(get_sub_block_id(args));
#endif
    __gm__ uint64_t *cell = elements<uint64_t>(args, 0) + core;
    *cell = 3 * *cell + scalar_at<uint64_t>(args, 1) + core;
}
