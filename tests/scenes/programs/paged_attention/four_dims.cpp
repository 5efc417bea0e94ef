// Attention over a paged cache with several heads of keys and values and a sink, all tensors of
// rank 4: views are cut in the middle of rows, and accumulators start from initial values.
#include "pto_orchestration_api.h"

#define FUNC_QK_MATMUL 0
#define FUNC_SOFTMAX_PREPARE 1
#define FUNC_PV_MATMUL 2
#define FUNC_ONLINE_UPDATE 3

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 8};
}

// A box of a tensor of rank 4.
static Tensor box(const Tensor &tensor, const uint32_t (&shape)[4], const uint32_t (&corner)[4]) {
    return tensor.view(shape, corner);
}

// The heads of queries of one batch entry that share one head of keys and values.
struct HeadGroup {
    Tensor query, out;
    uint32_t heads, head_dim, block_size, kv_head, length;
    float scale, sink;
};

static void attend(const HeadGroup &group, const Tensor &key_cache, const Tensor &value_cache,
                   const int32_t *table) {
    const uint32_t score_shape[4] = {1, 1, group.heads, group.block_size};
    const uint32_t rows_shape[4] = {1, 1, group.heads, group.head_dim};
    const uint32_t state_shape[4] = {1, 1, 1, group.heads};
    TensorCreateInfo scores_info(score_shape, 4, DataType::FLOAT32);
    TensorCreateInfo weights_info(score_shape, 4, key_cache.dtype);
    TensorCreateInfo part_info(rows_shape, 4, DataType::FLOAT32);
    TensorCreateInfo state_info(state_shape, 4, DataType::FLOAT32);
    TensorCreateInfo maxima_info(state_shape, 4, DataType::FLOAT32);
    TensorCreateInfo zeros_info(rows_shape, 4, DataType::FLOAT32);
    TensorCreateInfo sums_info(state_shape, 4, DataType::FLOAT32);
    // As if a position with the score `sink` and a value of zeros came before all others.
    maxima_info.set_initial_value(group.sink);
    sums_info.set_initial_value(1.0f);
    zeros_info.set_initial_value(0.0f);
    TaskOutputTensors accumulated = alloc_tensors(maxima_info, sums_info, zeros_info);
    if (accumulated.empty()) return;

    const uint32_t blocks = (group.length + group.block_size - 1) / group.block_size;
    for (uint32_t n = 0; n < blocks; ++n) {
        const uint32_t block = static_cast<uint32_t>(table[n]);
        const uint32_t valid = std::min(group.block_size, group.length - n * group.block_size);
        Tensor keys = box(key_cache, {1, group.block_size, 1, group.head_dim},
                          {block, 0, group.kv_head, 0});
        Tensor values = box(value_cache, {1, group.block_size, 1, group.head_dim},
                            {block, 0, group.kv_head, 0});
        Arg qk;
        qk.add_input(group.query, keys);
        qk.add_output(scores_info);
        TaskOutputTensors scores = rt_submit_aic_task(FUNC_QK_MATMUL, qk);
        if (scores.empty()) return;

        Arg softmax;
        softmax.add_input(scores.get_ref(0));
        softmax.add_output(weights_info, state_info, state_info);
        softmax.add_scalar(group.scale, valid);
        TaskOutputTensors weighed = rt_submit_aiv_task(FUNC_SOFTMAX_PREPARE, softmax);
        if (weighed.empty()) return;

        Arg pv;
        pv.add_input(weighed.get_ref(0), values);
        pv.add_output(part_info);
        TaskOutputTensors part = rt_submit_aic_task(FUNC_PV_MATMUL, pv);
        if (part.empty()) return;

        Arg update;
        update.add_input(weighed.get_ref(1), weighed.get_ref(2), part.get_ref(0));
        update.add_inout(accumulated.get_ref(0), accumulated.get_ref(1), accumulated.get_ref(2),
                         group.out);
        // Never the first block: what is accumulated has been filled.
        update.add_scalar(false, n + 1 == blocks);
        rt_submit_aiv_task(FUNC_ONLINE_UPDATE, update);
    }
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    // Queries and out are [batch, 1, heads, head_dim]; the caches are
    // [blocks, block_size, kv_heads, head_dim].
    Tensor query = from_tensor_arg(orch_args.tensor(0));
    Tensor key_cache = from_tensor_arg(orch_args.tensor(1));
    Tensor value_cache = from_tensor_arg(orch_args.tensor(2));
    const int32_t *table = orch_args.tensor(3).data_as<int32_t>();
    const int32_t *lengths = orch_args.tensor(4).data_as<int32_t>();
    Tensor out = from_tensor_arg(orch_args.tensor(5));
    const float scale = from_u64<float>(orch_args.scalar(0));
    const uint32_t kv_heads = key_cache.shapes[2];
    const uint32_t head_dim = query.shapes[3];
    const uint32_t heads = query.shapes[2] / kv_heads;
    for (uint32_t b = 0; b < query.shapes[0]; ++b) {
        if (lengths[b] == 0) continue;
        for (uint32_t kv = 0; kv < kv_heads; ++kv) {
            PTO2_SCOPE() {
                const HeadGroup group{
                    box(query, {1, 1, heads, head_dim}, {b, 0, kv * heads, 0}),
                    box(out, {1, 1, heads, head_dim}, {b, 0, kv * heads, 0}),
                    heads,
                    head_dim,
                    key_cache.shapes[1],
                    kv,
                    static_cast<uint32_t>(lengths[b]),
                    scale,
                    from_u64<float>(orch_args.scalar(1)),
                };
                attend(group, key_cache, value_cache, table + b * orch_args.tensor(3).shapes[1]);
            }
        }
    }
}
