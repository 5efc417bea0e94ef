// state = 3 * state + the sum of eight inputs. Arguments: state, inputs.
#include "cells.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ uint64_t *state = cells_at(args, 0);
    uint64_t sum = 3 * *state;
    for (int input = 1; input <= 8; ++input) sum += *cells_at(args, input);
    *state = sum;
}
