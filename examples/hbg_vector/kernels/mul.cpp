// out = left * right, element by element, on a vector core.
// Arguments: addresses of left, right and out, all float32; the number of elements.
#include "words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *left = floats(args, 0);
    const __gm__ float *right = floats(args, 1);
    __gm__ float *out = floats(args, 2);
    for (int64_t i = 0; i < args[3]; ++i) out[i] = left[i] * right[i];
}
