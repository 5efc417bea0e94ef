// Multiplies two tiles and hands the product over piece by piece, on the cube core of a cluster.
// Arguments: a, b, c (not used here): float32 views; number of the product.
#include "product_pipe.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const Tile a = tile_argument(args, 0);
    const Tile b = tile_argument(args, 1);
    ProductPipe *pipe = ProductPipe::of_cluster(PRODUCT_FLAG);
    for (uint32_t p = 0; p < PIECES; ++p) {
        Piece *piece = pipe->begin_push(0);
        if (piece == nullptr) return;  // the vector cores miss it and say so
        const Tile rows{a.row(p * PIECE_ROWS), a.pitch, PIECE_ROWS, a.columns};
        multiply(rows, b, Tile{piece->rows[0], TILE, PIECE_ROWS, TILE});
        piece->number = static_cast<uint32_t>(args[3]) * PIECES + p;
        pipe->end_push(0);
    }
}
