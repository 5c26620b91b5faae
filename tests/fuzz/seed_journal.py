#!/usr/bin/python3
"""seed_journal.py DIR - writes the seeds of fuzz_journal: journals by docs/formats.md."""
import struct
import sys
from pathlib import Path


def crc32c(data, crc=0):
    crc = ~crc & 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return ~crc & 0xffffffff


def journal(total, part_bytes, parts, etag=b'"e"', modified=b"Sat, 21 Nov 2026 19:00:00 GMT", version=1):
    head = struct.pack("<8sIIQQ32s128s64sI", b"\x89LEJ\r\n\x1a\n", version, 264, total, part_bytes, bytes(range(32)), etag,
                       modified, 0)
    seed = crc32c(head)
    out = head + struct.pack("<I", seed)
    for number, crc in parts:
        record = struct.pack("<QI", number, crc)
        out += record + struct.pack("<I", crc32c(record, seed))
    return out


SEEDS = {
    "empty": b"", "fresh": journal(1000, 100, []), "some": journal(1000, 100, [(3, 7), (9, 8), (3, 9)]),
    "beyond": journal(1000, 100, [(1, 7), (10, 8), (3, 9)]), "nothing": journal(0, 1, []),
    "one": journal(1, 2 ** 63, [(0, 1)], b"", b""),
    "most": journal(2 ** 24 * 8, 8, [(2 ** 24 - 1, 5)]), "too_many": journal(2 ** 64 - 1, 1, []), "no_part": journal(5, 0, []),
    "newer": journal(1000, 100, [(1, 2)], version=2), "long_etag": journal(1000, 100, [], b"x" * 128),
    "newline": journal(9, 1, [], b"a\r\nb"),
    "torn": journal(1000, 100, [(1, 2), (2, 3)])[:-5], "zeroed": journal(1000, 100, [(1, 2)]) + bytes(64),
}
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
