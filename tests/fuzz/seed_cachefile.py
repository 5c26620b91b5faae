#!/usr/bin/python3
"""seed_cachefile.py DIR - writes the seeds of fuzz_cachefile: heads of cache files by docs/formats.md; the target sums them up."""
import struct
import sys
from pathlib import Path


def head(total, flags=1, version=1, block=65536, etag=b'"e"', modified=b"Sat, 21 Nov 2026 19:00:00 GMT", url=b"http://h/a.tar"):
    return struct.pack("<8sIIQII32s128s64s1024s", b"leatcach", version, flags, total, block, 0, bytes(range(32)), etag, modified,
                       url)


SEEDS = {
    "empty": b"", "whole": head(1000000), "growing": head(1, flags=0), "nothing": head(0), "large": head(1 << 62),
    "largest": head((1 << 64) - 1), "version": head(1, version=2), "block": head(1, block=0), "endless": head(1, etag=b"x" * 128),
    "control": head(1, modified=b"a\r\nHost: b"), "escape": head(1, url=b"http://h/\x1b[2J"),
}

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
