// Rows of numbers as words of a task, for what the kernels of paged attention share.
#pragma once

#include "host_graph/words.h"
#include "paged_attention/kernels/rows.h"

// Dense rows at the address in word `index`.
static inline __aicore__ Rows rows_at(__gm__ int64_t *args, int index, uint32_t rows,
                                      uint32_t columns, bool is_bfloat16) {
    return Rows{memory_at<void>(args, index), is_bfloat16, columns, rows, columns};
}
