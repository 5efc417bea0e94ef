// out = in + addend, element by element, on a vector core.
// Arguments: addresses of in and out, both float32; addend: float32; the number of elements.
#include "words.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *in = floats(args, 0);
    __gm__ float *out = floats(args, 1);
    const float addend = from_u64<float>(static_cast<uint64_t>(args[2]));
    for (int64_t i = 0; i < args[3]; ++i) out[i] = in[i] + addend;
}
