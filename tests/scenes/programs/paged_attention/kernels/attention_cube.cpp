// The matrix products of a share of attention, on the cube core of a cluster. Scores of the next
// block are made before the weights of this one are back. Arguments: see cluster_share.h.
#include "block_products.h"
#include "cluster_share.h"

// Scores of block n, to the vector cores.
static __aicore__ bool push_scores(const Share &share, const Queries &queries, uint32_t n) {
    ScorePipe *pipe = ScorePipe::of_cluster(SCORE_FLAG);
    Scores *slot = pipe->begin_push(0);
    if (slot == nullptr) return false;
    const Rows keys =
        cache_block(share.cache(1), share.table(), share.batch(), n, share.valid(n));
    score_block(queries, keys, slot->rows[0], PIPE_POSITIONS);
    slot->step = share.step(n);
    pipe->end_push(0);
    return true;
}

// Weights of block n from the vector cores, weighted sums of its values to them.
static __aicore__ bool pass_sums(const Share &share, uint32_t n) {
    WeightPipe *weight_pipe = WeightPipe::of_cluster(WEIGHT_FLAG);
    SumPipe *sum_pipe = SumPipe::of_cluster(SUM_FLAG);
    const Weights *weights = weight_pipe->front(0);
    Sums *sums = sum_pipe->begin_push(0);
    if (weights == nullptr || sums == nullptr) return false;
    const Rows values =
        cache_block(share.cache(2), share.table(), share.batch(), n, share.valid(n));
    std::memset(sums->rows, 0, sizeof(sums->rows));
    float value[MAX_HEAD_DIM];
    for (uint32_t j = 0; j < values.rows; ++j) {
        values.load(j, value);
        for (uint32_t i = 0; i < share.tile; ++i) {
            add_scaled_row(sums->rows[i], weights->rows[i][j], value, values.columns);
        }
    }
    const bool in_turn = weights->step[0] == share.step(n) && weights->step[1] == share.step(n);
    sums->step = in_turn ? share.step(n) : 0;
    weight_pipe->pop(0);
    sum_pipe->end_push(0);
    return true;
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    for_each_share(args, [&](const Share &share) {
        const __gm__ Tensor *query = tensor_argument(args, 0);
        const uint32_t columns = query->shapes[2];
        const uint64_t before = share.first_element_in(query);
        const Queries queries(rows_of(query, before, columns, share.tile, columns));
        if (share.blocks > 0 && !push_scores(share, queries, 0)) return false;
        for (uint32_t n = 0; n < share.blocks; ++n) {
            if (n + 1 < share.blocks && !push_scores(share, queries, n + 1)) return false;
            if (!pass_sums(share, n)) return false;
        }
        return true;
    });
}
