// out += sum over inputs k of (k + 1) * in_k + sum over scalars j of (j + 1) * scalar_j.
// Arguments: fifteen inputs, out: uint64 [1]; up to 32 scalars.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    uint64_t sum = 0;
    for (uint64_t k = 0; k < 15; ++k) {
        sum += (k + 1) * *elements<uint64_t>(args, static_cast<int>(k));
    }
    for (uint64_t j = 0; j < 32; ++j) sum += (j + 1) * static_cast<uint64_t>(args[16 + j]);
    *elements<uint64_t>(args, 15) += sum;
}
