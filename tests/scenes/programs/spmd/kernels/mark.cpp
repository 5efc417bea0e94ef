// Writes the block's index into a cache line of its own: of three lines a block of a mixed task the
// cube core takes the first and the vector cores the others; a vector task has one line a block.
// Arguments: out: float32; first line, lines per block.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const int64_t block = get_block_idx(args);
    int64_t line = args[1] + block * args[2];
#ifndef __DAV_CUBE__
    if (args[2] == 3) line += 1 + get_sub_block_id(args);
#endif
    elements<float>(args, 0)[line * 16] = static_cast<float>(block);
}
