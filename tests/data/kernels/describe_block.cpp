// Writes what a core knows of itself, and the task's scalars, into eight cells per core: type of
// core, block, number of blocks, vector core, and four scalars.
// Arguments: out; four scalars of different types.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
#ifdef __DAV_CUBE__
    const uint64_t is_vector = 0;
#else
    const uint64_t is_vector = 1;
#endif
    const uint64_t block = static_cast<uint64_t>(get_block_idx(args));
    const uint64_t lane = static_cast<uint64_t>(get_sub_block_id(args));
    __gm__ uint64_t *out = cells_at(args, 0) + (block * 3 + is_vector + lane) * 8;
    out[0] = is_vector;
    out[1] = block;
    out[2] = static_cast<uint64_t>(get_block_num(args));
    out[3] = lane;
    for (int i = 0; i < 4; ++i) out[4 + i] = static_cast<uint64_t>(args[1 + i]);
}
