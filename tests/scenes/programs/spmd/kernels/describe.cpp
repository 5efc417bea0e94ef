// Writes what a core knows of itself into its line: block index, number of blocks, vector core.
// Arguments: out: float32; first line, lines per block.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    int64_t line = args[1] + get_block_idx(args) * args[2];
#ifndef __DAV_CUBE__
    line += 1 + get_sub_block_id(args);
#endif
    __gm__ float *own = elements<float>(args, 0) + line * 16;
    own[0] = static_cast<float>(get_block_idx(args));
    own[1] = static_cast<float>(get_block_num(args));
    own[2] = static_cast<float>(get_sub_block_id(args));
}
