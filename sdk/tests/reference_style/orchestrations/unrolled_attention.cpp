// Many views of a few large tensors, several tensors to a call; another entry name.
#include <algorithm>
#include <cstring>

#include "pto_orchestration_api.h"

#define FUNC_QK_MATMUL 0
#define FUNC_SOFTMAX_PREPARE 1
#define FUNC_PV_MATMUL 2

static_assert(RUNTIME_MAX_TENSOR_DIMS == CONTINUOUS_TENSOR_MAX_DIMS, "one rank for all");
static_assert(MAX_TENSOR_ARGS == 16 && MAX_SCALAR_ARGS == 32, "limits of a task");
static_assert(PTO2_MAX_EXPLICIT_DEPS == 16, "limits of a task");

extern "C" PTO2OrchestrationConfig build_paged_attention_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 5};
}

extern "C" void build_paged_attention_graph(const ChipStorageTaskArgs &orch_args) {
    const uint64_t batch = orch_args.tensor(0).shapes[0];
    const uint64_t head_dim = orch_args.tensor(0).shapes[1];
    const DataType data_type = orch_args.tensor(0).dtype;
    const uint32_t block_size = static_cast<uint32_t>(orch_args.scalar(0));
    const float scale = from_u64<float>(orch_args.scalar(1));
    const int32_t *lengths = orch_args.tensor(3).data_as<int32_t>();

    uint32_t query_shapes[2] = {static_cast<uint32_t>(batch), static_cast<uint32_t>(head_dim)};
    uint32_t cache_shapes[2] = {block_size * 64, static_cast<uint32_t>(head_dim)};
    Tensor query = make_tensor_external(orch_args.tensor(0).data_as<void>(), query_shapes, 2);
    Tensor key =
        make_tensor_external(orch_args.tensor(1).data_as<void>(), cache_shapes, 2, data_type);
    Tensor value =
        make_tensor_external(orch_args.tensor(2).data_as<void>(), cache_shapes, 2, data_type, true);
    Tensor out = make_tensor_external(orch_args.tensor(4).data_as<void>(), query_shapes, 2,
                                      DataType::FLOAT32, false, 0);
    LOG_INFO_V9("key at %llx, %llu bytes", (unsigned long long)key.buffer.addr,
                (unsigned long long)key.buffer.size);

    for (uint64_t b = 0; b < batch; b++) {
        PTO2_SCOPE() {
            uint32_t row_shapes[2] = {1, static_cast<uint32_t>(head_dim)};
            uint32_t row_offsets[2] = {static_cast<uint32_t>(b), 0};
            Tensor q_row = query.view(row_shapes, row_offsets);
            Tensor out_row = out.view(row_shapes, row_offsets, true);
            uint32_t score_shapes[2] = {1, block_size};
            TensorCreateInfo scores_ci(score_shapes, 2, DataType::FLOAT32);
            TensorCreateInfo probs_ci(score_shapes, 2, data_type);
            TensorCreateInfo rowsum_ci(row_shapes, 1, DataType::FLOAT32);

            uint64_t blocks = std::max<uint64_t>(1, (lengths[b] + block_size - 1) / block_size);
            for (uint64_t n = 0; n < std::min<uint64_t>(blocks, 64); n++) {
                uint32_t block_shapes[2] = {block_size, static_cast<uint32_t>(head_dim)};
                uint32_t block_offsets[2] = {static_cast<uint32_t>(n * block_size), 0};
                Tensor k_block = key.view(block_shapes, block_offsets);
                Tensor v_block = value.view(block_shapes, block_offsets);

                Arg qk;
                qk.add_input(q_row, k_block);
                qk.add_output(scores_ci);
                TaskOutputTensors qk_outs = rt_submit_aic_task(FUNC_QK_MATMUL, qk);

                Arg softmax;
                softmax.add_input(qk_outs.get_ref(0));
                softmax.add_output(probs_ci, rowsum_ci);
                softmax.add_scalar(scale, static_cast<uint64_t>(n), lengths[b]);
                TaskOutputTensors sf_outs = rt_submit_aiv_task(FUNC_SOFTMAX_PREPARE, softmax);

                Arg pv;
                pv.add_input(sf_outs.get_ref(0), v_block, sf_outs.get_ref(1));
                pv.add_inout(out_row);
                rt_submit_aic_task(FUNC_PV_MATMUL, pv);
            }
        }
    }
}
