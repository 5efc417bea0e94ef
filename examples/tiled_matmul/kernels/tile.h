// A two-dimensional tile as kernels see it: the first element, and the distance between rows.
#pragma once

#include <cstdint>
#include <pto/pto-inst.hpp>

#include "tensor.h"

// Elements per step: a constant, and counters of 64 bits, let compilers use vector instructions at
// -O2 too.
constexpr uint32_t LANES = 16;

struct Tile {
    __gm__ float *first;
    uint64_t pitch;  // elements
    uint32_t rows;
    uint32_t columns;
};

// A view keeps the rows of the matrix it is cut from; any other tensor is dense.
static inline __aicore__ Tile tile_argument(__gm__ int64_t *args, int index) {
    __gm__ Tensor *tensor = reinterpret_cast<__gm__ Tensor *>(args[index]);
    Tile tile;
    tile.first = reinterpret_cast<__gm__ float *>(tensor->buffer.addr) + tensor->start_offset;
    tile.pitch = tensor->is_raw_eq_shapes ? tensor->shapes[1] : tensor->raw_shapes[1];
    tile.rows = tensor->shapes[0];
    tile.columns = tensor->shapes[1];
    return tile;
}
