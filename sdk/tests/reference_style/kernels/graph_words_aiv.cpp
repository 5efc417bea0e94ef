// A kernel of a host-built graph: its arguments are the words of the task, without Tensor records.
#include <cstdint>
#include <pto/pto-inst.hpp>

using namespace pto;

#ifndef __gm__
#define __gm__
#endif

#ifndef __aicore__
#define __aicore__ [aicore]
#endif

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ float *src = reinterpret_cast<__gm__ float *>(args[0]);
    union {
        uint64_t u64;
        float f32;
    } converter;
    converter.u64 = static_cast<uint64_t>(args[1]);
    float factor = converter.f32;
    __gm__ float *out = reinterpret_cast<__gm__ float *>(args[2]);
    int size = static_cast<int>(args[3]);
    for (int i = 0; i < size; i++) {
        out[i] = src[i] * factor;
    }
}
