// What the cube core hands to the vector cores of its cluster.
#pragma once

#include "cluster_pipe.h"
#include "tile.h"

constexpr uint32_t TILE = 16;  // as in ../orchestration.cpp

struct Product {
    uint32_t number;  // of the task; a consumer that sees another one took a slot out of turn
    float elements[TILE][TILE];
};

// Two slots: the cube core may be up to two products ahead. Both vector cores read each slot.
using ProductPipe = cluster_pipe::Pipe<Product, 2, 1, 2>;
constexpr uint8_t PRODUCT_FLAG = 0;
