// out = the sum of any number of partial sums, zeros if there are none, on a vector core.
// Arguments: address of out, float32; its width; the number of partial sums; their addresses.
#include <cstdint>
#include <pto/pto-inst.hpp>

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ float *out = reinterpret_cast<__gm__ float *>(args[0]);
    const int64_t width = args[1], count = args[2];
    for (int64_t x = 0; x < width; ++x) out[x] = 0.0f;
    for (int64_t part = 0; part < count; ++part) {
        const __gm__ float *partial = reinterpret_cast<const __gm__ float *>(args[3 + part]);
        for (int64_t x = 0; x < width; ++x) out[x] += partial[x];
    }
}
