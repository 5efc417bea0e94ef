// state = 3 * state + in + constant. Arguments: state, in; constant.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *state = cells_at(args, 0);
    *state = 3 * *state + *cells_at(args, 1) + static_cast<uint64_t>(args[2]);
}
