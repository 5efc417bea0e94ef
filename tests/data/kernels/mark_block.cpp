// Writes the block's index into a cache line of its own: of three lines per block the cube core
// takes the first and the vector cores the others; a task on vector cores has one line per block.
// Arguments: out: float32; first line, lines per block.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *tensor = tensor_at(args, 0);
    __gm__ float *out =
        reinterpret_cast<__gm__ float *>(tensor->buffer.addr) + tensor->start_offset;
    const int64_t block = get_block_idx(args);
    int64_t line = args[1] + block * args[2];
#ifndef __DAV_CUBE__
    if (args[2] == 3) line += 1 + get_sub_block_id(args);
#endif
    out[line * 16] = static_cast<float>(block);
}
