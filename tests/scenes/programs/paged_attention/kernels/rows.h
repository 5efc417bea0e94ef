// Rows of float32 or bfloat16 as kernels see them, of a tensor of any rank or of plain memory.
#pragma once

#include <cstring>

#include "float_rows.h"

// Bounds of the local buffers below.
constexpr uint32_t MAX_HEADS = 16;      // rows of a tile of queries
constexpr uint32_t MAX_HEAD_DIM = 128;  // columns of a row of queries, keys, values
constexpr uint32_t MAX_POSITIONS = 512;  // scores of a row

static inline __aicore__ float from_bfloat16(uint16_t bits) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
}

// To the nearest, ties to even. For finite numbers.
static inline __aicore__ uint16_t to_bfloat16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Rows of a matrix in memory, of float32 or bfloat16.
struct Rows {
    __gm__ void *first;
    bool is_bfloat16;
    uint64_t pitch;  // elements from row to row
    uint32_t rows;
    uint32_t columns;

    float at(uint32_t row, uint32_t column) const {
        const uint64_t index = row * pitch + column;
        return is_bfloat16 ? from_bfloat16(elements<uint16_t>()[index]) : elements<float>()[index];
    }

    void load(uint32_t row, float *__restrict__ into) const {
        if (is_bfloat16) {
            const __gm__ uint16_t *from = elements<uint16_t>() + row * pitch;
            for (uint32_t j = 0; j < columns; ++j) into[j] = from_bfloat16(from[j]);
        } else {
            std::memcpy(into, elements<float>() + row * pitch, columns * sizeof(float));
        }
    }

    void store(uint32_t row, const float *__restrict__ from) const {
        if (is_bfloat16) {
            __gm__ uint16_t *into = elements<uint16_t>() + row * pitch;
            for (uint32_t j = 0; j < columns; ++j) into[j] = to_bfloat16(from[j]);
        } else {
            std::memcpy(elements<float>() + row * pitch, from, columns * sizeof(float));
        }
    }

    template <typename T>
    __gm__ T *elements() const {
        return static_cast<__gm__ T *>(first);
    }
};

// Rows in the view of a tensor, from its element `skipped` on.
static inline __aicore__ Rows rows_of(const __gm__ Tensor *tensor, uint64_t skipped, uint64_t pitch,
                                      uint32_t rows, uint32_t columns) {
    const bool is_bfloat16 = tensor->dtype == DataType::BFLOAT16;
    __gm__ void *first = is_bfloat16
                             ? static_cast<__gm__ void *>(first_element<uint16_t>(tensor) + skipped)
                             : first_element<float>(tensor) + skipped;
    return Rows{first, is_bfloat16, pitch, rows, columns};
}

// The rows of a tensor of any rank. A row is one run of the last dimension; rows follow one another
// along the last of the other dimensions that is longer than 1.
static inline __aicore__ Rows rows_argument(__gm__ int64_t *args, int index) {
    const __gm__ Tensor *tensor = tensor_argument(args, index);
    const uint32_t last = tensor->ndims - 1;
    uint32_t along = last == 0 ? 0 : last - 1;
    while (along > 0 && tensor->shapes[along] == 1) --along;
    if (tensor->shapes[along] == 1 && last > 0) along = last - 1;
    const uint32_t rows = last == 0 ? 1 : tensor->shapes[along];
    return rows_of(tensor, 0, pitch_of(tensor, along), rows, tensor->shapes[last]);
}
