// Attention over a paged cache in MANUAL scopes: the runtime looks at no tensor, each edge is an
// explicit dependency.
#include "paged_request.h"

// The tasks of one block. `last` is the task that wrote what is accumulated; returns the one that
// does now.
static PTO2TaskId add_block(const PagedRequest &request, const TileInfos &infos,
                            const Tensor &query, const Tensor &out,
                            const TaskOutputTensors &accumulated, uint32_t b, uint32_t n,
                            uint32_t length, PTO2TaskId last) {
    Tensor keys = request.block_of(request.key_cache, b, n);
    Tensor values = request.block_of(request.value_cache, b, n);

    Arg qk;
    qk.add_input(query, keys);
    qk.add_output(infos.scores);
    TaskOutputTensors scores = rt_submit_aic_task(FUNC_QK_MATMUL, qk);
    if (scores.empty()) return PTO2TaskId::invalid();

    Arg softmax;
    softmax.add_input(scores.get_ref(0));
    softmax.add_output(infos.weights, infos.state, infos.state);
    softmax.add_scalar(request.scale, request.valid_in(n, length));
    softmax.add_dep(scores.task_id());
    TaskOutputTensors weighed = rt_submit_aiv_task(FUNC_SOFTMAX_PREPARE, softmax);
    if (weighed.empty()) return PTO2TaskId::invalid();

    Arg pv;
    pv.add_input(weighed.get_ref(0), values);
    pv.add_output(infos.rows);
    pv.add_dep(weighed.task_id());
    TaskOutputTensors part = rt_submit_aic_task(FUNC_PV_MATMUL, pv);
    if (part.empty()) return PTO2TaskId::invalid();

    Arg update;
    update.add_input(weighed.get_ref(1), weighed.get_ref(2), part.get_ref(0));
    update.add_inout(accumulated.get_ref(0), accumulated.get_ref(1), accumulated.get_ref(2), out);
    update.add_scalar(static_cast<uint64_t>(n == 0));
    update.add_scalar(static_cast<uint64_t>(n + 1 == request.blocks_of(length)));
    // Not all of these are needed for the order: a dependency is also what keeps the memory of the
    // other task after the scope has ended.
    update.add_dep(accumulated.task_id(), weighed.task_id(), part.task_id());
    if (last.is_valid()) update.add_dep(last);
    return rt_submit_aiv_task(FUNC_ONLINE_UPDATE, update).task_id();
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    const PagedRequest request(orch_args);
    const TileInfos infos(request, request.block_size);
    for (uint32_t b = 0; b < request.batch; ++b) {
        const uint32_t length = request.context_len(b);
        if (length == 0) continue;
        for (uint32_t head = 0; head < request.heads; head += request.tile) {
            PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
                Tensor query = request.heads_of(request.query, b, head);
                Tensor out = request.heads_of(request.out, b, head);
                TaskOutputTensors accumulated = alloc_tensors(infos.state, infos.state, infos.rows);
                if (accumulated.empty()) return;
                PTO2TaskId last = PTO2TaskId::invalid();
                for (uint32_t n = 0; n < request.blocks_of(length); ++n) {
                    last = add_block(request, infos, query, out, accumulated, b, n, length, last);
                    if (!last.is_valid()) return;
                }
            }
        }
    }
}
