// Attention over a paged cache, one task for the same block of many batch entries: kernels read
// block table and context lengths themselves.
#include "paged_request.h"

// Batch entries from `first` on, `count` of them, all heads at once.
static void attend(const PagedRequest &request, uint32_t first, uint32_t count) {
    uint32_t longest = 0;
    for (uint32_t b = first; b < first + count; ++b) {
        longest = std::max(longest, request.context_len(b));
    }
    const uint32_t blocks = request.blocks_of(longest);
    if (blocks == 0) return;
    const uint32_t score_shape[3] = {count, request.heads, request.block_size};
    const uint32_t rows_shape[3] = {count, request.heads, request.head_dim};
    const uint32_t state_shape[2] = {count, request.heads};
    TensorCreateInfo scores_info(score_shape, 3, DataType::FLOAT32);
    TensorCreateInfo weights_info(score_shape, 3, request.key_cache.dtype);
    TensorCreateInfo rows_info(rows_shape, 3, DataType::FLOAT32);
    TensorCreateInfo state_info(state_shape, 2, DataType::FLOAT32);

    const uint32_t corner[3] = {first, 0, 0};
    Tensor query = request.query.view(rows_shape, corner);
    Tensor out = request.out.view(rows_shape, corner);
    TaskOutputTensors accumulated = alloc_tensors(state_info, state_info, rows_info);
    if (accumulated.empty()) return;
    for (uint32_t n = 0; n < blocks; ++n) {
        Arg qk;
        qk.add_input(query, request.key_cache, request.block_table, request.context_lens);
        qk.add_output(scores_info);
        qk.add_scalar(first, n);
        TaskOutputTensors scores = rt_submit_aic_task(FUNC_QK_MATMUL, qk);
        if (scores.empty()) return;

        Arg softmax;
        softmax.add_input(scores.get_ref(0), request.context_lens);
        softmax.add_output(weights_info, state_info, state_info);
        softmax.add_scalar(request.scale, first, n);
        TaskOutputTensors weighed = rt_submit_aiv_task(FUNC_SOFTMAX_PREPARE, softmax);
        if (weighed.empty()) return;

        Arg pv;
        pv.add_input(weighed.get_ref(0), request.value_cache, request.block_table,
                     request.context_lens);
        pv.add_output(rows_info);
        pv.add_scalar(first, n);
        TaskOutputTensors part = rt_submit_aic_task(FUNC_PV_MATMUL, pv);
        if (part.empty()) return;

        Arg update;
        update.add_input(weighed.get_ref(1), weighed.get_ref(2), part.get_ref(0));
        update.add_inout(accumulated.get_ref(0), accumulated.get_ref(1), accumulated.get_ref(2),
                         out);
        update.add_scalar(n == 0, n + 1 == blocks);
        rt_submit_aiv_task(FUNC_ONLINE_UPDATE, update);
    }
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    const PagedRequest request(orch_args);
    const uint32_t chunk = static_cast<uint32_t>(orch_args.scalar(2));
    for (uint32_t first = 0; first < request.batch; first += chunk) {
        PTO2_SCOPE() { attend(request, first, std::min(chunk, request.batch - first)); }
    }
}
