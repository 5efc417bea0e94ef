// What each kernel of a mixed task leaves: its core's line of the task's part. All three get the
// same arguments: out: float32 [lines, 16]; first line of the task, factor.
#pragma once

#include "elements.h"

static inline __aicore__ void mark(__gm__ int64_t *args, uint64_t lane, float kernel) {
    __gm__ float *line = elements<float>(args, 0) + (scalar_at<uint64_t>(args, 1) + lane) * 16;
    const float factor = scalar_at<float>(args, 2);
    for (uint64_t i = 0; i < 16; ++i) line[i] = factor * static_cast<float>(i) + kernel;
}
