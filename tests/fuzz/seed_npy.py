#!/usr/bin/env python3
"""Writes the seeds of fuzz_npy to the directory named on the command line: arrays of every kind, headers by hand, numbers."""
import os
import sys

import numpy as np
from numpy.lib import format as npy

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
for number, code in enumerate(["<u1", ">i2", "<u4", ">i8", "<f2", ">f4", "<f8", "?", "<c8", "<U3", "<M8[ns]", "V5"]):
    for order, shape in [("C", (3, 2)), ("F", (2, 3, 2)), ("C", ())]:
        with open(os.path.join(folder, f"array-{number}-{len(shape)}"), "wb") as file:
            npy.write_array(file, np.zeros(shape, code, order=order), version=(1 + number % 3, 0))
headers = ["{}", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
           "{'descr': '|O', 'fortran_order': False, 'shape': (1L,)}",
           "{'descr': '<f4', 'fortran_order': True, 'shape': (0, 4611686018427387904, 9)}"]
for number, header in enumerate(headers):
    with open(os.path.join(folder, f"header-{number}"), "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
for number, text in enumerate(["7\n", "-12", " 9223372036854775808", "1.5e-3", ".5", "nan", "-Infinity", "0x10", "1e39"]):
    with open(os.path.join(folder, f"number-{number}"), "wb") as file:
        file.write(text.encode())
