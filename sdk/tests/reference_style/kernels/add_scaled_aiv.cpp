// f = a + s * b on a vector core; the usual preamble, then plain C++.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "tensor.h"

using namespace pto;

#include "pipe_sync.h"

#ifndef __gm__
#define __gm__
#endif

#ifndef __aicore__
#define __aicore__ [aicore]
#endif

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *a = reinterpret_cast<__gm__ Tensor *>(args[0]);
    __gm__ Tensor *b = reinterpret_cast<__gm__ Tensor *>(args[1]);
    __gm__ Tensor *f = reinterpret_cast<__gm__ Tensor *>(args[2]);
    float s = from_u64<float>(static_cast<uint64_t>(args[3]));

    __gm__ float *src0 = reinterpret_cast<__gm__ float *>(a->buffer.addr) + a->start_offset;
    __gm__ float *src1 = reinterpret_cast<__gm__ float *>(b->buffer.addr) + b->start_offset;
    __gm__ float *dst = reinterpret_cast<__gm__ float *>(f->buffer.addr) + f->start_offset;
    uint64_t count = static_cast<uint64_t>(a->shapes[0]) * a->shapes[1];
    for (uint64_t i = 0; i < count; i++) dst[i] = src0[i] + s * src1[i];
    pipe_sync();
}
