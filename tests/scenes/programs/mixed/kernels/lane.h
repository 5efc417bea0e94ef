// What each kernel of a mixed task leaves: its core's line of the task's part, and at its end which
// vector core it is, if the task has more than one core; a task on one vector core may run on
// either. All kernels get the same arguments: out: float32 [lines, 16]; first line of the task,
// factor, whether it has more than one core.
#pragma once

#include "elements.h"

static inline __aicore__ void mark(__gm__ int64_t *args, uint64_t lane, float kernel) {
    __gm__ float *line = elements<float>(args, 0) + (scalar_at<uint64_t>(args, 1) + lane) * 16;
    const float factor = scalar_at<float>(args, 2);
    for (uint64_t i = 0; i < 15; ++i) line[i] = factor * static_cast<float>(i) + kernel;
    const bool is_mixed = scalar_at<uint64_t>(args, 3) != 0;
    line[15] = is_mixed ? static_cast<float>(get_sub_block_id(args)) : -2.0f;
}
