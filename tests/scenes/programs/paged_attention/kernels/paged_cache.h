// A block of a paged cache, found by a kernel itself.
#pragma once

#include <algorithm>

#include "rows.h"

// The part of block n of a batch entry that is in its context; no rows if the context ends before.
// Tensors: cache [blocks, block_size, head_dim]; block table, int32 [batch, longest]; context
// lengths, int32 [batch].
static inline __aicore__ uint32_t valid_positions(const __gm__ Tensor *context_lens, uint32_t batch,
                                                  uint32_t n, uint32_t block_size) {
    const uint32_t length = static_cast<uint32_t>(first_element<int32_t>(context_lens)[batch]);
    const uint32_t before = n * block_size;
    return length > before ? std::min(length - before, block_size) : 0;
}

// That block as rows.
static inline __aicore__ Rows cache_block(const __gm__ Tensor *cache, const __gm__ Tensor *table,
                                          uint32_t batch, uint32_t n, uint32_t valid) {
    const uint32_t block_size = cache->shapes[1];
    const uint32_t columns = cache->shapes[2];
    const uint32_t entry = batch * table->shapes[1] + n;
    const int32_t block = valid > 0 ? first_element<int32_t>(table)[entry] : 0;
    const uint64_t before = static_cast<uint64_t>(block) * block_size * columns;
    return rows_of(cache, before, columns, valid, columns);
}

// The rows of one entry of a tensor [entries, rows, columns].
static inline __aicore__ Rows entry_rows(const __gm__ Tensor *tensor, uint32_t entry) {
    const uint32_t rows = tensor->shapes[1];
    const uint32_t columns = tensor->shapes[2];
    return rows_of(tensor, uint64_t{entry} * rows * columns, columns, rows, columns);
}
