// Attention over a paged cache in few tasks of many blocks: each block is a cluster that works on
// its share of the heads, and hands scores, weights and sums over between its cores. Nothing but
// the result goes through memory that tasks share.
#include "paged_request.h"

#define FUNC_CUBE 0
#define FUNC_VECTOR 1

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    const PagedRequest request(orch_args);
    const uint32_t chunk = static_cast<uint32_t>(orch_args.scalar(2));
    const int16_t blocks = static_cast<int16_t>(orch_args.scalar(3));
    const bool together = orch_args.scalar(4) != 0;

    MixedKernels kernels;
    kernels.aic_kernel_id = FUNC_CUBE;
    kernels.aiv0_kernel_id = FUNC_VECTOR;
    kernels.aiv1_kernel_id = FUNC_VECTOR;
    for (uint32_t first = 0; first < request.batch; first += chunk) {
        const uint32_t shape[3] = {std::min(chunk, request.batch - first), request.heads,
                                   request.head_dim};
        const uint32_t corner[3] = {first, 0, 0};
        Tensor query = request.query.view(shape, corner);
        Tensor out = request.out.view(shape, corner);
        Arg args;
        args.add_input(query, request.key_cache, request.value_cache, request.block_table,
                       request.context_lens);
        args.add_inout(out);
        args.add_scalar(request.scale, request.tile, first);
        args.launch_spec.set_block_num(blocks);
        args.launch_spec.set_require_sync_start(together);
        rt_submit_task(kernels, args);
    }
}
