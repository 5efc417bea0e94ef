// Each block writes its index into its own cache line; makes `dcci` a no-op on the CPU, as the
// published kernels do.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "tensor.h"

#ifndef __gm__
#define __gm__
#endif
#ifndef __aicore__
#define __aicore__ [aicore]
#endif

#ifdef PTO_CPUSTUB_HPP
#define dcci(...) \
    do {          \
    } while (0)
#endif

#ifndef SINGLE_CACHE_LINE
#define SINGLE_CACHE_LINE 0
#endif
#ifndef CACHELINE_OUT
#define CACHELINE_OUT 0
#endif

static constexpr int32_t FLOATS_PER_CACHE_LINE = 16;

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *out_tensor = reinterpret_cast<__gm__ Tensor *>(args[0]);
    __gm__ float *out =
        reinterpret_cast<__gm__ float *>(out_tensor->buffer.addr) + out_tensor->start_offset;
    int32_t base_cl = static_cast<int32_t>(args[1]);
    int32_t block = get_block_idx(args);
    if (block >= get_block_num(args)) return;
    int32_t lane = get_sub_block_id(args);
    int32_t offset = (base_cl + block * 3 + 1 + lane) * FLOATS_PER_CACHE_LINE;
    out[offset] = static_cast<float>(block);
    dcci(&out[offset], SINGLE_CACHE_LINE, CACHELINE_OUT);
}
