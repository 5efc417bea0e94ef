// What the blocks of an SPMD task work on, and what the cores of a cluster hand to one another.
//
// Arguments of both kernels: queries [entries, heads, head_dim], key cache, value cache, block
// table, context lengths, out [entries, heads, head_dim]: float32; scale: float32; heads to a tile,
// even; first batch entry.
#pragma once

#include "cluster_pipe.h"
#include "intrinsic.h"
#include "paged_cache.h"
#include "rows.h"

constexpr uint32_t PIPE_POSITIONS = 64;  // most positions of a block

// `step` says which block of which tile it is: a core that takes another step's slot sees it.
struct Scores {
    uint64_t step;
    float rows[MAX_HEADS][PIPE_POSITIONS];
};
struct Weights {
    uint64_t step[2];  // of each vector core
    float rows[MAX_HEADS][PIPE_POSITIONS];
};
struct Sums {
    uint64_t step;
    float rows[MAX_HEADS][MAX_HEAD_DIM];
};

// Vector core 0 has the upper half of a tile's heads, core 1 the lower. Scores are made a block
// ahead and have a single slot, so that the cube core has to wait.
using ScorePipe = cluster_pipe::Pipe<Scores, 1, 1, 2>;
using WeightPipe = cluster_pipe::Pipe<Weights, 2, 2, 1>;
using SumPipe = cluster_pipe::Pipe<Sums, 2, 1, 2>;
constexpr uint8_t SCORE_FLAG = 0;
constexpr uint8_t WEIGHT_FLAG = 1;
constexpr uint8_t SUM_FLAG = 2;

// One tile of heads of one batch entry.
struct Share {
    __gm__ int64_t *args;
    uint32_t entry;  // among those of the task
    uint32_t first_head;
    uint32_t tile;
    uint32_t blocks;

    const __gm__ Tensor *cache(int index) const { return tensor_argument(args, index); }
    const __gm__ Tensor *table() const { return tensor_argument(args, 3); }
    uint32_t batch() const { return static_cast<uint32_t>(args[8]) + entry; }
    uint32_t block_size() const { return cache(1)->shapes[1]; }
    uint32_t valid(uint32_t n) const {
        return valid_positions(tensor_argument(args, 4), batch(), n, block_size());
    }
    uint64_t step(uint32_t n) const {
        return (uint64_t{batch()} << 32 | uint64_t{first_head} << 16 | n) + 1;
    }
    // Of this share's first row in a tensor [entries, heads, head_dim].
    uint64_t first_element_in(const __gm__ Tensor *tensor) const {
        return (uint64_t{entry} * tensor->shapes[1] + first_head) * tensor->shapes[2];
    }
};

// Calls `work` with each share of this block, the same ones in the same order on all cores of the
// cluster. `work` returns false to give up.
template <typename Work>
static inline __aicore__ void for_each_share(__gm__ int64_t *args, Work work) {
    const __gm__ Tensor *query = tensor_argument(args, 0);
    const uint32_t tile = static_cast<uint32_t>(args[7]);
    const uint32_t tiles = query->shapes[1] / tile;
    const uint32_t stride = static_cast<uint32_t>(get_block_num(args));
    uint32_t number = static_cast<uint32_t>(get_block_idx(args));
    for (; number < query->shapes[0] * tiles; number += stride) {
        Share share{args, number / tiles, number % tiles * tile, tile, 0};
        while (share.valid(share.blocks) > 0) ++share.blocks;
        if (!work(share)) return;
    }
}
