// The two matrix products of attention, for one block of keys or values.
#pragma once

#include "rows.h"

// A tile of queries, decoded.
struct Queries {
    float rows[MAX_HEADS][MAX_HEAD_DIM];
    uint32_t count;
    uint32_t columns;

    explicit Queries(const Rows &from) : count(from.rows), columns(from.columns) {
        for (uint32_t i = 0; i < count; ++i) from.load(i, rows[i]);
    }
};

// scores[i * pitch + j] = query i . key j
static inline __aicore__ void score_block(const Queries &queries, const Rows &keys,
                                          __gm__ float *scores, uint64_t pitch) {
    float key[MAX_HEAD_DIM];
    for (uint32_t j = 0; j < keys.rows; ++j) {
        keys.load(j, key);
        for (uint32_t i = 0; i < queries.count; ++i) {
            scores[i * pitch + j] = dot_product(queries.rows[i], key, queries.columns);
        }
    }
}

// sums[i] += weights[i][first_column + j] * value j, for dense rows of sums.
static inline __aicore__ void add_weighted_values(const Rows &weights, uint32_t first_column,
                                                  const Rows &values, __gm__ float *sums) {
    float value[MAX_HEAD_DIM];
    for (uint32_t j = 0; j < values.rows; ++j) {
        values.load(j, value);
        for (uint32_t i = 0; i < weights.rows; ++i) {
            const float weight = weights.at(i, first_column + j);
            add_scaled_row(sums + i * values.columns, weight, value, values.columns);
        }
    }
}
