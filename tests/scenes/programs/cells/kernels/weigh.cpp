// out[0] = sum over all inputs k and their elements i of (k + 1) * in_k[i].
// Arguments: inputs, out: uint64; padding up to 16 arguments; number of inputs.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const int inputs = static_cast<int>(args[16]);
    uint64_t sum = 0;
    for (int k = 0; k < inputs; ++k) {
        const __gm__ uint64_t *in = elements<uint64_t>(args, k);
        const uint64_t count = element_count(args, k);
        for (uint64_t i = 0; i < count; ++i) sum += static_cast<uint64_t>(k + 1) * in[i];
    }
    *elements<uint64_t>(args, inputs) = sum;
}
