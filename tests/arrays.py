#!/usr/bin/env python3
"""Makes .npy files with NumPy, and beside each what a reader must see in it: arrays.py DIR

DIR/NAME.npy, and DIR/NAME.expected: a line "dtype ndim shape..." (dtype: leat's number), then the array's bytes in C order and
native byte order. Every dtype, byte order, memory order and version of the format, shapes of 0 to 7 dimensions."""
import os
import random
import sys

import numpy as np
from numpy.lib import format as npy

DTYPES = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "u8": 6, "i8": 7, "f2": 8, "f4": 9, "f8": 10, "b1": 11}
SHAPES = [(), (1,), (0,), (5,), (3, 4), (4, 0, 2), (2, 3, 5), (7, 1, 3), (2, 3, 2, 3), (2, 1, 3, 2, 2), (2, 2, 2, 2, 2, 2),
          (2, 3, 1, 2, 2, 1, 2)]


def main():
    folder, rng = sys.argv[1], random.Random(3)
    numbers = np.random.default_rng(3)
    count = 0
    for code, number in DTYPES.items():
        for shape in SHAPES:
            for order in "CF":
                for byte_order in "<>":
                    dtype = np.dtype(byte_order + code)
                    raw = numbers.integers(0, 256, int(np.prod(shape)) * dtype.itemsize, dtype=np.uint8)
                    if code == "b1":
                        raw %= 2
                    array = np.frombuffer(raw.tobytes(), dtype).reshape(shape, order=order)
                    path = os.path.join(folder, f"{count:04}-{code}-{order}")
                    version = rng.choice([(1, 0), (2, 0), (3, 0)])
                    with open(path + ".npy", "wb") as file:
                        npy.write_array(file, array, version=version)
                    with open(path + ".expected", "wb") as file:
                        file.write((" ".join(map(str, [number, array.ndim, *shape])) + "\n").encode())
                        file.write(np.ascontiguousarray(array.astype(dtype.newbyteorder("="))).tobytes())
                    count += 1
    print(count)


if __name__ == "__main__":
    main()
