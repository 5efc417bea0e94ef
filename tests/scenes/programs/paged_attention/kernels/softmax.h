// Online softmax of one row: a block's part of it, and how parts are merged.
#pragma once

#include <cmath>
#include <limits>

#include "rows.h"

struct RowState {
    float maximum;  // of the scores so far
    float sum;      // of the weights so far, relative to the maximum
};

// The state before the first block.
constexpr RowState EMPTY_ROW{-std::numeric_limits<float>::infinity(), 0.0f};

// Turns `valid` scores of a row into weights relative to their maximum, the rest into 0.
static inline __aicore__ RowState weigh_row(float *row, uint32_t columns, uint32_t valid,
                                            float scale) {
    RowState state = EMPTY_ROW;
    for (uint32_t j = 0; j < valid; ++j) state.maximum = std::fmax(state.maximum, scale * row[j]);
    for (uint32_t j = 0; j < valid; ++j) {
        row[j] = std::exp(scale * row[j] - state.maximum);
        state.sum += row[j];
    }
    for (uint32_t j = valid; j < columns; ++j) row[j] = 0.0f;
    return state;
}

// Merges a block's part into the accumulated row. Both states may be EMPTY_ROW.
static inline __aicore__ void merge_row(RowState &state, float *__restrict__ row, RowState part,
                                        const float *__restrict__ part_row, uint32_t columns) {
    const float maximum = std::fmax(state.maximum, part.maximum);
    if (maximum == EMPTY_ROW.maximum) return;
    const float keep = std::exp(state.maximum - maximum);
    const float take = std::exp(part.maximum - maximum);
    for (uint32_t j = 0; j < columns; ++j) row[j] = keep * row[j] + take * part_row[j];
    state = RowState{maximum, keep * state.sum + take * part.sum};
}

// out = row / sum.
static inline __aicore__ void normalise_row(float *__restrict__ out, const float *__restrict__ row,
                                            float sum, uint32_t columns) {
    for (uint32_t j = 0; j < columns; ++j) out[j] = row[j] / sum;
}
