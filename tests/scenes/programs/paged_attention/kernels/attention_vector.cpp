// The softmax of a share of attention, on a vector core of a cluster, for half of the heads.
// Rows become NaN where a slot of another step, or none, comes out of a pipe. Arguments: see
// cluster_share.h.
#include "cluster_share.h"
#include "softmax.h"

// What is accumulated for the heads of this core.
struct HalfTile {
    uint32_t core, first, heads, columns;  // `first` within the tile
    bool in_turn;
    RowState states[MAX_HEADS / 2];
    float rows[MAX_HEADS / 2][MAX_HEAD_DIM];
};

// Scores of block n to weights, back to the cube core; `parts` are the states of the block's rows.
static __aicore__ bool pass_weights(const Share &share, HalfTile &half, uint32_t n,
                                    RowState *parts) {
    ScorePipe *score_pipe = ScorePipe::of_cluster(SCORE_FLAG);
    WeightPipe *weight_pipe = WeightPipe::of_cluster(WEIGHT_FLAG);
    const Scores *scores = score_pipe->front(half.core);
    Weights *weights = weight_pipe->begin_push(half.core);
    if (scores == nullptr || weights == nullptr) return false;
    const float scale = from_u64<float>(static_cast<uint64_t>(share.args[6]));
    const bool rounded = share.cache(2)->dtype == DataType::BFLOAT16;
    for (uint32_t i = 0; i < half.heads; ++i) {
        float *row = weights->rows[half.first + i];
        std::memcpy(row, scores->rows[half.first + i], sizeof(weights->rows[0]));
        parts[i] = weigh_row(row, PIPE_POSITIONS, share.valid(n), scale);
        for (uint32_t j = 0; j < PIPE_POSITIONS && rounded; ++j) {
            row[j] = from_bfloat16(to_bfloat16(row[j]));
        }
    }
    half.in_turn = half.in_turn && scores->step == share.step(n);
    weights->step[half.core] = share.step(n);
    score_pipe->pop(half.core);
    weight_pipe->end_push(half.core);
    return true;
}

static __aicore__ bool merge_sums(const Share &share, HalfTile &half, uint32_t n,
                                  const RowState *parts) {
    SumPipe *pipe = SumPipe::of_cluster(SUM_FLAG);
    const Sums *sums = pipe->front(half.core);
    if (sums == nullptr) return false;
    for (uint32_t i = 0; i < half.heads; ++i) {
        merge_row(half.states[i], half.rows[i], parts[i], sums->rows[half.first + i], half.columns);
    }
    half.in_turn = half.in_turn && sums->step == share.step(n);
    pipe->pop(half.core);
    return true;
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ Tensor *out = tensor_argument(args, 5);
    for_each_share(args, [&](const Share &share) {
        HalfTile half{};
        half.core = static_cast<uint32_t>(get_sub_block_id(args));
        half.heads = share.tile / 2;
        half.first = half.core * half.heads;
        half.columns = out->shapes[2];
        half.in_turn = half.core == cluster_pipe::sub_block_id();
        for (RowState &state : half.states) state = EMPTY_ROW;
        bool complete = true;
        for (uint32_t n = 0; n < share.blocks && complete; ++n) {
            RowState parts[MAX_HEADS / 2];
            complete = pass_weights(share, half, n, parts) && merge_sums(share, half, n, parts);
        }
        // An empty context leaves what is there.
        __gm__ float *rows = first_element<float>(out) + share.first_element_in(out);
        for (uint32_t i = 0; i < half.heads && share.blocks > 0; ++i) {
            __gm__ float *row = rows + uint64_t{half.first + i} * half.columns;
            const bool good = complete && half.in_turn;
            const float sum = good ? half.states[i].sum : std::numeric_limits<float>::quiet_NaN();
            normalise_row(row, half.rows[i], sum, half.columns);
        }
        return complete;
    });
}
