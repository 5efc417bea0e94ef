#!/usr/bin/env python3
"""Regenerates inputs/ and expected/ of this example.

Independent of the graph: for each element, the values of all tokens of a request are looked up one
by one and added exactly (fsum), rounded once at the end.
"""

import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True

import npy_files  # noqa: E402 (found through the line above)

BLOCKS, ROWS, WIDTH = 30, 16, 32
REQUESTS, SLOTS = 5, 6

# Less than a block, whole blocks, none, exactly one, few: -1 is a slot that is not used.
LENGTHS = [37, 96, 0, 16, 5]
TABLE = [
    [12, 3, 29, -1, -1, -1],
    [7, 0, 21, 3, 18, 26],  # block 3 belongs to the first request as well
    [-1, -1, -1, -1, -1, -1],
    [11, -1, -1, -1, -1, -1],
    [4, -1, -1, -1, -1, -1],
]


def sums(cache, table, lengths):
    """The sums as a flat list, row by row."""

    def value(request, token, x):
        block = table[request][token // ROWS]
        return cache[(block * ROWS + token % ROWS) * WIDTH + x]

    return [
        math.fsum(value(request, token, x) for token in range(lengths[request]))
        for request in range(REQUESTS)
        for x in range(WIDTH)
    ]


def main():
    cache = npy_files.uniform(30, BLOCKS * ROWS * WIDTH)
    npy_files.write(HERE / "inputs/cache.npy", (BLOCKS, ROWS, WIDTH), cache)
    flat = [block for row in TABLE for block in row]
    npy_files.write(HERE / "inputs/table.npy", (REQUESTS, SLOTS), flat, "i")
    npy_files.write(HERE / "inputs/lengths.npy", (REQUESTS,), LENGTHS, "i")
    ragged = sums(cache, TABLE, LENGTHS)
    npy_files.write(HERE / "expected/ragged.npy", (REQUESTS, WIDTH), ragged)

    # The ramp and the constant of callable.toml.
    backwards = [[29 - (row * SLOTS + slot) for slot in range(SLOTS)] for row in range(REQUESTS)]
    full = sums(cache, backwards, [SLOTS * ROWS] * REQUESTS)
    npy_files.write(HERE / "expected/full.npy", (REQUESTS, WIDTH), full)


if __name__ == "__main__":
    main()
