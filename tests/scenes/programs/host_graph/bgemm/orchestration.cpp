// C += A x B for a batch of matrices in tiles: for each tile of C and each step along the inner
// dimension one cube task for the product and one vector task that adds it; the additions of a tile
// are a chain. Arguments: a, b, c: float32 [batch, rows, columns]; side of a tile.
#include "host_graph/build.h"

#define FUNC_GEMM 0
#define FUNC_ADD 1

namespace {

// Matrices one after another in device memory.
struct Batch {
    uint64_t address;
    uint64_t rows, columns;

    Batch(uint64_t address, const ContinuousTensor &tensor)
        : address(address), rows(tensor.shapes[1]), columns(tensor.shapes[2]) {}

    // The tile whose first element is at (row, column).
    uint64_t at(uint64_t matrix, uint64_t row, uint64_t column) const {
        return address + ((matrix * rows + row) * columns + column) * sizeof(float);
    }
};
}  // namespace

extern "C" int build_bgemm_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const Batch a(memory.input(args.tensor(0)), args.tensor(0));
    const Batch b(memory.input(args.tensor(1)), args.tensor(1));
    const Batch c(memory.inout(args.tensor(2)), args.tensor(2));
    const uint64_t tile = args.scalar(0);
    const uint64_t tile_bytes = tile * tile * sizeof(float);

    for (uint64_t matrix = 0; matrix < args.tensor(2).shapes[0]; ++matrix) {
        for (uint64_t row = 0; row < c.rows; row += tile) {
            for (uint64_t column = 0; column < c.columns; column += tile) {
                int before = -1;
                for (uint64_t inner = 0; inner < a.columns; inner += tile) {
                    const uint64_t product = memory.scratch(tile_bytes);
                    const int gemm = task(rt, FUNC_GEMM, CoreType::AIC, a.at(matrix, row, inner),
                                          a.columns, b.at(matrix, inner, column), b.columns,
                                          product, tile);
                    const int add = task(rt, FUNC_ADD, CoreType::AIV, product,
                                         c.at(matrix, row, column), c.columns, tile);
                    add_successor(rt, gemm, add);
                    if (before >= 0) add_successor(rt, before, add);
                    before = add;
                }
            }
        }
    }
    return 0;
}
