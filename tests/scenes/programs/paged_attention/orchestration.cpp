// Attention over a paged cache, dependencies found by the runtime: outputs of a task keep their
// creator, accumulators are allocated and passed INOUT, each tile of heads is a scope.
#include "paged_request.h"

// One tile of heads of one batch entry.
static void attend(const PagedRequest &request, uint32_t b, uint32_t first_head,
                   bool inner_scopes) {
    const uint32_t length = request.context_len(b);
    const uint32_t blocks = request.blocks_of(length);
    const TileInfos infos(request, request.block_size);

    Tensor query = request.heads_of(request.query, b, first_head);
    Tensor out = request.heads_of(request.out, b, first_head);
    TaskOutputTensors accumulated = alloc_tensors(infos.state, infos.state, infos.rows);
    if (accumulated.empty()) return;

    for (uint32_t n = 0; n < blocks; ++n) {
        // What a block needs can go with it; what is accumulated stays.
        if (inner_scopes) rt_scope_begin();
        Tensor keys = request.block_of(request.key_cache, b, n);
        Tensor values = request.block_of(request.value_cache, b, n);

        Arg qk;
        qk.add_input(query);
        qk.add_input(keys);
        qk.add_output(infos.scores);
        TaskOutputTensors scores = rt_submit_aic_task(FUNC_QK_MATMUL, qk);
        if (scores.empty()) return;

        Arg softmax;
        softmax.add_input(scores.get_ref(0));
        softmax.add_output(infos.weights);
        softmax.add_output(infos.state);
        softmax.add_output(infos.state);
        softmax.add_scalar(request.scale);
        softmax.add_scalar(request.valid_in(n, length));
        TaskOutputTensors weighed = rt_submit_aiv_task(FUNC_SOFTMAX_PREPARE, softmax);
        if (weighed.empty()) return;

        Arg pv;
        pv.add_input(weighed.get_ref(0));
        pv.add_input(values);
        pv.add_output(infos.rows);
        TaskOutputTensors part = rt_submit_aic_task(FUNC_PV_MATMUL, pv);
        if (part.empty()) return;

        Arg update;
        update.add_input(weighed.get_ref(1));
        update.add_input(weighed.get_ref(2));
        update.add_input(part.get_ref(0));
        update.add_inout(accumulated.get_ref(0));
        update.add_inout(accumulated.get_ref(1));
        update.add_inout(accumulated.get_ref(2));
        update.add_inout(out);
        update.add_scalar(static_cast<uint64_t>(n == 0));
        update.add_scalar(static_cast<uint64_t>(n + 1 == blocks));
        rt_submit_aiv_task(FUNC_ONLINE_UPDATE, update);
        if (inner_scopes) rt_scope_end();
    }
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    const PagedRequest request(orch_args);
    const bool inner_scopes = orch_args.scalar(2) != 0;
    LOG_INFO_V0("paged_attention: batch %u, %u heads of %u", request.batch, request.heads,
                request.head_dim);
    for (uint32_t b = 0; b < request.batch; ++b) {
        if (request.context_len(b) == 0) continue;
        for (uint32_t head = 0; head < request.heads; head += request.tile) {
            PTO2_SCOPE() { attend(request, b, head, inner_scopes); }
        }
    }
}
