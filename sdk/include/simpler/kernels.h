// Which kernels a task runs, and how many times. Source: spec trb §1.5.
#pragma once

#include <cstdint>

#include "simpler/layout.h"
#include "simpler/limits.h"

// The kernels of one cluster, by func_id; all get the same argument list.
struct MixedKernels {
    int32_t aic_kernel_id = INVALID_KERNEL_ID;
    int32_t aiv0_kernel_id = INVALID_KERNEL_ID;
    int32_t aiv1_kernel_id = INVALID_KERNEL_ID;
};

SIMPLER_ASSERT_RECORD(MixedKernels, 12, 4);
SIMPLER_ASSERT_FIELD(MixedKernels, aic_kernel_id, 0, 4);
SIMPLER_ASSERT_FIELD(MixedKernels, aiv0_kernel_id, 4, 4);
SIMPLER_ASSERT_FIELD(MixedKernels, aiv1_kernel_id, 8, 4);

// A task runs `block_num` times with block indices from 0. Chip a5 says "core_num"; both spellings
// work for both chips.
struct PTO2LaunchSpec {
    int16_t block_num_ = 1;
    bool require_sync_start_ = false;

    int16_t block_num() const { return block_num_; }
    void set_block_num(int16_t count) { block_num_ = count; }
    int16_t core_num() const { return block_num_; }
    void set_core_num(int16_t count) { block_num_ = count; }

    // All blocks start together, or the run fails because there are too few cores.
    bool require_sync_start() const { return require_sync_start_; }
    void set_require_sync_start(bool required) { require_sync_start_ = required; }
};

SIMPLER_ASSERT_RECORD(PTO2LaunchSpec, 4, 2);
SIMPLER_ASSERT_FIELD(PTO2LaunchSpec, block_num_, 0, 2);
SIMPLER_ASSERT_FIELD(PTO2LaunchSpec, require_sync_start_, 2, 1);
