// Each block writes its cell: out[block] = block + constant. Arguments: out; constant.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const auto block = static_cast<uint64_t>(get_block_idx(args));
    cells_at(args, 0)[block] = block + static_cast<uint64_t>(args[1]);
}
