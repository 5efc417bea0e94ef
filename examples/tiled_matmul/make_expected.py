#!/usr/bin/env python3
"""Regenerates inputs/ and expected/ of this example.

Independent of the kernels: whole rows times whole columns, no tiles; each sum is exact (fsum) and
rounded once at the end.
"""

import math
import sys
from operator import mul
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True

import npy_files  # noqa: E402 (found through the line above)

SIDE = 256
START = 1.0  # the initial value of C, see callable.toml


def main():
    a = npy_files.uniform(64, SIDE * SIDE)
    b = npy_files.uniform(65, SIDE * SIDE)
    rows = [a[i * SIDE : (i + 1) * SIDE] for i in range(SIDE)]
    columns = [b[j::SIDE] for j in range(SIDE)]
    c = [START + math.fsum(map(mul, row, column)) for row in rows for column in columns]
    npy_files.write(HERE / "inputs/a.npy", (SIDE, SIDE), a)
    npy_files.write(HERE / "inputs/b.npy", (SIDE, SIDE), b)
    npy_files.write(HERE / "expected/c.npy", (SIDE, SIDE), c)


if __name__ == "__main__":
    main()
