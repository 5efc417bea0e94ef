// The arguments that all orchestrations of paged attention take, and the kernels they run.
#pragma once

#include <algorithm>

#include "pto_orchestration_api.h"

#define FUNC_QK_MATMUL 0
#define FUNC_SOFTMAX_PREPARE 1
#define FUNC_PV_MATMUL 2
#define FUNC_ONLINE_UPDATE 3

// One query position for each entry of a batch. Keys and values are in blocks of a cache; row b of
// the block table names the blocks of batch entry b in the order of their positions.
struct PagedRequest {
    Tensor query;         // [batch, heads, head_dim]
    Tensor key_cache;     // [blocks, block_size, head_dim]
    Tensor value_cache;   // the same
    Tensor block_table;   // int32 [batch, blocks of the longest context]
    Tensor context_lens;  // int32 [batch]
    Tensor out;           // float32 [batch, heads, head_dim]
    float scale;
    uint32_t tile;  // heads to a task

    uint32_t batch, heads, head_dim, block_size;

    explicit PagedRequest(const ChipStorageTaskArgs &args)
        : query(from_tensor_arg(args.tensor(0))),
          key_cache(from_tensor_arg(args.tensor(1))),
          value_cache(from_tensor_arg(args.tensor(2))),
          block_table(from_tensor_arg(args.tensor(3))),
          context_lens(from_tensor_arg(args.tensor(4))),
          out(from_tensor_arg(args.tensor(5))),
          scale(from_u64<float>(args.scalar(0))),
          tile(static_cast<uint32_t>(args.scalar(1))),
          batch(query.shapes[0]),
          heads(query.shapes[1]),
          head_dim(query.shapes[2]),
          block_size(key_cache.shapes[1]) {}

    uint32_t context_len(uint32_t b) const {
        const uint32_t index[1] = {b};
        return static_cast<uint32_t>(get_tensor_data<int32_t>(context_lens, 1, index));
    }

    uint32_t blocks_of(uint32_t length) const { return (length + block_size - 1) / block_size; }

    // Where block n of a batch entry is in the caches.
    uint32_t cache_block(uint32_t b, uint32_t n) const {
        const uint32_t index[2] = {b, n};
        return static_cast<uint32_t>(get_tensor_data<int32_t>(block_table, 2, index));
    }

    // Positions of block n that are in the context.
    uint32_t valid_in(uint32_t n, uint32_t length) const {
        return std::min(block_size, length - n * block_size);
    }

    // The rows of a tile of heads, of `query` or `out`.
    Tensor heads_of(const Tensor &tensor, uint32_t b, uint32_t first_head) const {
        const uint32_t shape[3] = {1, tile, head_dim};
        const uint32_t corner[3] = {b, first_head, 0};
        return tensor.view(shape, corner);
    }

    Tensor block_of(const Tensor &cache, uint32_t b, uint32_t n) const {
        const uint32_t shape[3] = {1, block_size, head_dim};
        const uint32_t corner[3] = {cache_block(b, n), 0, 0};
        return cache.view(shape, corner);
    }
};

// What the tasks of a tile of heads make, with scores and weights for `positions` positions.
struct TileInfos {
    TensorCreateInfo scores, weights, rows, state;

    TileInfos(const PagedRequest &request, uint32_t positions) {
        const uint32_t score_shape[2] = {request.tile, positions};
        const uint32_t rows_shape[2] = {request.tile, request.head_dim};
        const uint32_t state_shape[1] = {request.tile};
        scores = TensorCreateInfo(score_shape, 2, DataType::FLOAT32);
        weights = TensorCreateInfo(score_shape, 2, request.key_cache.dtype);
        rows = TensorCreateInfo(rows_shape, 2, DataType::FLOAT32);
        state = TensorCreateInfo(state_shape, 1, DataType::FLOAT32);
    }
};

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 8};
}
