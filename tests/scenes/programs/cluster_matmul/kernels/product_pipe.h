// What the cube core hands to the vector cores of its cluster: a product, in pieces.
#pragma once

#include "cluster_pipe.h"
#include "tile.h"

constexpr uint32_t TILE = 16;  // as in ../orchestration.cpp
constexpr uint32_t PIECE_ROWS = 4;
constexpr uint32_t PIECES = TILE / PIECE_ROWS;

struct Piece {
    uint32_t number;  // of the piece in the whole run of tasks; tells one that is out of turn
    float rows[PIECE_ROWS][TILE];
};

// Fewer slots than pieces, so that the cube core has to wait. Both vector cores read each piece.
using ProductPipe = cluster_pipe::Pipe<Piece, 2, 1, 2>;
constexpr uint8_t PRODUCT_FLAG = 0;
