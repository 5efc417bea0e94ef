// Adds half of the rows of each piece of a product, on a vector core of a cluster: core 0 the upper
// rows, core 1 the lower. What was there is read before the product is waited for. Writes NaN where
// a piece that is out of turn, or none, comes out of the pipe.
// Arguments: a, b (not used here), c: float32 views; number of the product.
#include <cstring>
#include <limits>

#include "product_pipe.h"

constexpr uint32_t SHARE = PIECE_ROWS / 2;  // rows of a piece that a core adds

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const uint32_t first = cluster_pipe::sub_block_id() * SHARE;
    const Tile sum = tile_argument(args, 2);
    float rows[PIECES][SHARE][TILE];
    for (uint32_t i = 0; i < PIECES * SHARE; ++i) {
        __gm__ float *row = sum.row(i / SHARE * PIECE_ROWS + first + i % SHARE);
        std::memcpy(rows[i / SHARE][i % SHARE], row, sizeof(rows[0][0]));
    }
    ProductPipe *pipe = ProductPipe::of_cluster(PRODUCT_FLAG);
    bool in_turn = true;
    for (uint32_t p = 0; p < PIECES; ++p) {
        const Piece *piece = pipe->front(cluster_pipe::sub_block_id());
        if (piece == nullptr) {
            in_turn = false;
            break;
        }
        for (uint32_t i = 0; i < SHARE; ++i) {
            add_scaled_row(rows[p][i], 1.0f, piece->rows[first + i], TILE);
        }
        in_turn = in_turn && piece->number == static_cast<uint32_t>(args[3]) * PIECES + p;
        pipe->pop(cluster_pipe::sub_block_id());
    }
    for (uint32_t i = 0; i < PIECES * SHARE; ++i) {
        __gm__ float *row = sum.row(i / SHARE * PIECE_ROWS + first + i % SHARE);
        std::memcpy(row, rows[i / SHARE][i % SHARE], sizeof(rows[0][0]));
        if (!in_turn) row[0] = std::numeric_limits<float>::quiet_NaN();
    }
}
