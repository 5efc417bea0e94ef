// Attention over a paged cache, four blocks to a task, several tensors to a call. One entry lets
// the runtime find the dependencies, the other names each of them.
#include "paged_request.h"

static constexpr uint32_t UNROLL = 4;  // as in kernels/*_unrolled.cpp

// Views of the blocks of a group, as many as kernels take; beyond the context they repeat the last.
struct BlockGroup {
    Tensor blocks[UNROLL];

    BlockGroup(const PagedRequest &request, const Tensor &cache, uint32_t b, uint32_t first,
               uint32_t count)
        : blocks{request.block_of(cache, b, first), request.block_of(cache, b, at(first, 1, count)),
                 request.block_of(cache, b, at(first, 2, count)),
                 request.block_of(cache, b, at(first, 3, count))} {}

    static uint32_t at(uint32_t first, uint32_t n, uint32_t count) {
        return first + std::min(n, count - 1);
    }
};

// One tile of heads of one batch entry, in the scope that the caller opened.
static void attend(const PagedRequest &request, uint32_t b, uint32_t first_head, uint32_t length,
                   bool manual) {
    const uint32_t blocks = request.blocks_of(length);
    const TileInfos infos(request, UNROLL * request.block_size);
    const TensorCreateInfo accumulator_infos[3] = {infos.state, infos.state, infos.rows};

    Tensor query = request.heads_of(request.query, b, first_head);
    Tensor out = request.heads_of(request.out, b, first_head);
    TaskOutputTensors accumulated = alloc_tensors(accumulator_infos, 3);
    if (accumulated.empty()) return;
    PTO2TaskId last = PTO2TaskId::invalid();
    Arg args;
    for (uint32_t first = 0; first < blocks; first += UNROLL) {
        const uint32_t count = std::min(UNROLL, blocks - first);
        const BlockGroup k(request, request.key_cache, b, first, count);
        const BlockGroup v(request, request.value_cache, b, first, count);

        args.reset();
        args.add_input(query, k.blocks[0], k.blocks[1], k.blocks[2], k.blocks[3]);
        args.add_output(infos.scores);
        args.add_scalar(count);
        TaskOutputTensors scores = rt_submit_aic_task(FUNC_QK_MATMUL, args);
        if (scores.empty()) return;

        args.reset();
        args.add_input(scores.get_ref(0));
        args.add_output(infos.weights, infos.state, infos.state);
        args.add_scalar(request.scale,
                        std::min(UNROLL * request.block_size, length - first * request.block_size));
        if (manual) args.add_dep(scores.task_id());
        TaskOutputTensors weighed = rt_submit_aiv_task(FUNC_SOFTMAX_PREPARE, args);
        if (weighed.empty()) return;

        args.reset();
        args.add_input(weighed.get_ref(0), v.blocks[0], v.blocks[1], v.blocks[2], v.blocks[3]);
        args.add_output(infos.rows);
        args.add_scalar(count);
        if (manual) args.add_dep(weighed.task_id());
        TaskOutputTensors part = rt_submit_aic_task(FUNC_PV_MATMUL, args);
        if (part.empty()) return;

        args.reset();
        args.add_input(weighed.get_ref(1), weighed.get_ref(2), part.get_ref(0));
        args.add_inout(accumulated.get_ref(0), accumulated.get_ref(1), accumulated.get_ref(2), out);
        args.add_scalar(first == 0, first + count == blocks);
        // A dependency is also what keeps the memory of the other task after the scope has ended.
        if (manual) args.add_dep(accumulated.task_id(), weighed.task_id(), part.task_id());
        if (manual && last.is_valid()) args.add_dep(last);
        last = rt_submit_aiv_task(FUNC_ONLINE_UPDATE, args).task_id();
    }
}

static void attend_all(const ChipStorageTaskArgs &orch_args, PTO2ScopeMode mode) {
    const PagedRequest request(orch_args);
    for (uint32_t b = 0; b < request.batch; ++b) {
        const uint32_t length = request.context_len(b);
        if (length == 0) continue;
        for (uint32_t head = 0; head < request.heads; head += request.tile) {
            PTO2_SCOPE_GUARD(mode);
            attend(request, b, head, length, mode == PTO2ScopeMode::MANUAL);
        }
    }
}

extern "C" void build_paged_attention_graph(const ChipStorageTaskArgs &orch_args) {
    attend_all(orch_args, PTO2ScopeMode::AUTO);
}

extern "C" void build_paged_attention_graph_manual(const ChipStorageTaskArgs &orch_args) {
    attend_all(orch_args, PTO2ScopeMode::MANUAL);
}
