"""Writes .npy files: float32 or int32, little endian, C order, format 1.0.

For the make_expected.py scripts beside each example. Standard library only, so that anybody with a
Python can regenerate the files; the numbers are Python floats (64 bits) until they are written.
"""

import random
import struct


def as_float32(value):
    """Nearest float32 of a Python float, as a Python float."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def uniform(seed, count):
    """`count` float32 values in [-1, 1), always the same for one seed."""
    source = random.Random(seed)
    return [as_float32(2.0 * source.random() - 1.0) for _ in range(count)]


def write(path, shape, values, kind="f"):
    """Writes `values`, row by row, as an array of `shape`; of float32, or with kind "i" of int32."""
    count = 1
    for extent in shape:
        count *= extent
    if count != len(values):
        raise ValueError(f"{path}: {len(values)} values for shape {shape}")
    header = f"{{'descr': '<{kind}4', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    # Magic, version and length take 10 bytes; the data starts at a multiple of 64.
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("ascii"))
        file.write(struct.pack(f"<{count}{kind}", *values))
