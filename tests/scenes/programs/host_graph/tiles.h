// Square tiles of matrices as words of a task.
#pragma once

#include "host_graph/words.h"
#include "tile.h"

// A tile: its first element is word `index`, and the elements from row to row of its matrix.
static inline __aicore__ Tile tile_at(__gm__ int64_t *args, int index, uint64_t pitch,
                                      uint32_t side) {
    return Tile{memory_at<float>(args, index), pitch, side, side};
}
