#!/usr/bin/env python3
"""Regenerates inputs/ and expected/ of this example.

Independent of the kernels: each matrix of the stack as a whole, without blocks or halves; products
are exact sums (fsum), everything is rounded once at the end.
"""

import math
import sys
from operator import mul
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True

import npy_files  # noqa: E402 (found through the line above)

MATRICES, SIDE = 12, 32
WEIGHT = 0.75  # the scalar "weight", see callable.toml


def product_of(a, b):
    rows = [a[i * SIDE : (i + 1) * SIDE] for i in range(SIDE)]
    columns = [b[j::SIDE] for j in range(SIDE)]
    return [math.fsum(map(mul, row, column)) for row in rows for column in columns]


def main():
    size = SIDE * SIDE
    a = npy_files.uniform(6, MATRICES * size)
    b = npy_files.uniform(7, MATRICES * size)
    product = []
    for at in range(0, MATRICES * size, size):
        product += product_of(a[at : at + size], b[at : at + size])
    blend = [WEIGHT * x + (1.0 - WEIGHT) * y for x, y in zip(a, b)]
    shape = (MATRICES, SIDE, SIDE)
    npy_files.write(HERE / "inputs/a.npy", shape, a)
    npy_files.write(HERE / "inputs/b.npy", shape, b)
    npy_files.write(HERE / "expected/product.npy", shape, product)
    npy_files.write(HERE / "expected/blend.npy", shape, blend)


if __name__ == "__main__":
    main()
