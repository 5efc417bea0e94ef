// A tile of a matrix as kernels see it.
#pragma once

#include "float_rows.h"

// The last two dimensions of a tensor; the others have length 1.
struct Tile {
    __gm__ float *first;
    uint64_t pitch;
    uint32_t rows;
    uint32_t columns;

    __gm__ float *row(uint32_t index) const { return first + index * pitch; }
};

static inline __aicore__ Tile tile_argument(__gm__ int64_t *args, int index) {
    const __gm__ Tensor *tensor = tensor_argument(args, index);
    const uint32_t last = tensor->ndims - 1;
    return Tile{first_element<float>(tensor), pitch_of(tensor, last - 1), tensor->shapes[last - 1],
                tensor->shapes[last]};
}

// product = a x b.
static inline __aicore__ void multiply(const Tile &a, const Tile &b, const Tile &product) {
    for (uint32_t i = 0; i < product.rows; ++i) {
        __gm__ float *row = product.row(i);
        for (uint32_t j = 0; j < product.columns; ++j) row[j] = 0.0f;
        for (uint32_t k = 0; k < a.columns; ++k) {
            add_scaled_row(row, a.row(i)[k], b.row(k), product.columns);
        }
    }
}
