#!/usr/bin/env python3
"""Regenerates inputs/ and expected/ of this example.

Independent of the kernels: the formula is evaluated as written, in 64-bit floats, on the float32
inputs, and rounded once at the end.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True

import npy_files  # noqa: E402 (found through the line above)

SHAPE = (128, 128)


def main():
    count = SHAPE[0] * SHAPE[1]
    a = npy_files.uniform(20, count)
    b = npy_files.uniform(21, count)
    f = [(x + y + 1.0) * (x + y + 2.0) for x, y in zip(a, b)]
    npy_files.write(HERE / "inputs/a.npy", SHAPE, a)
    npy_files.write(HERE / "inputs/b.npy", SHAPE, b)
    npy_files.write(HERE / "expected/f.npy", SHAPE, f)


if __name__ == "__main__":
    main()
