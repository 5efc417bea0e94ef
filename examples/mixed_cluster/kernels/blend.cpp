// blend = weight * a + (1 - weight) * b for half of the rows of this block's matrices. Runs on both
// vector cores of a cluster: core 0 takes the upper half, core 1 the lower.
// Arguments: a, b, product (not used here), blend: float32 stacks; weight: float32.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "stack.h"
#include "tensor.h"

static inline __aicore__ void blend_run(__gm__ float *__restrict__ out,
                                        const __gm__ float *__restrict__ a,
                                        const __gm__ float *__restrict__ b, float weight,
                                        uint32_t count) {
    const float rest = 1.0f - weight;
    uint64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; ++lane) {
            out[i + lane] = weight * a[i + lane] + rest * b[i + lane];
        }
    }
    for (; i < count; ++i) out[i] = weight * a[i] + rest * b[i];
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Stack a = stack_argument(args, 0);
    const Stack b = stack_argument(args, 1);
    const Stack blend = stack_argument(args, 3);
    const float weight = from_u64<float>(static_cast<uint64_t>(args[4]));
    const bool upper = get_sub_block_id(args) == 0;
    const uint32_t first_row = upper ? 0 : blend.side / 2;
    const uint32_t rows = upper ? blend.side / 2 : blend.side - blend.side / 2;
    const uint32_t stride = static_cast<uint32_t>(get_block_num(args));
    uint32_t matrix = static_cast<uint32_t>(get_block_idx(args));
    for (; matrix < blend.matrices; matrix += stride) {
        blend_run(blend.row(matrix, first_row), a.row(matrix, first_row), b.row(matrix, first_row),
                  weight, rows * blend.side);
    }
}
