#!/usr/bin/python3
"""seed_index.py DIR - writes the seeds of fuzz_index: a leat.index (by docs/formats.md), WebDataset's JSON, DALI's texts."""
import json
import struct
import sys
import zlib
from pathlib import Path


def blocks(places):
    out = b""
    for at in range(0, len(places), 1024):
        block = struct.pack(f"<{len(places[at:at + 1024])}I", *places[at:at + 1024])
        out += block + struct.pack("<I", zlib.crc32(block))
    return out


def index(shards):
    """shards: (name, etag, bytes, samples, places or None), sorted by name. One without places is of 7 times its bytes unpacked."""
    rows, texts, places = b"", b"", b""
    table_bytes = sum(56 + len(name) + len(etag) + 2 for name, etag, *_ in shards)
    for name, etag, size, samples, where in shards:
        at = 64 + table_bytes + len(places) if where is not None else 0
        rows += struct.pack("<QQQIIIIQQ", size, samples, at, 0x1234, 2 + (where is not None), len(name), len(etag),
                            56 * len(shards) + len(texts), size if where is not None else 7 * size)
        texts += name + b"\0" + etag + b"\0"
        places += blocks(where) if where is not None else b""
    table = rows + texts
    head = struct.pack("<8sIIQQQQQI", b"\x89LEAT\r\n\x1a", 1, 64, 64 + len(table) + len(places), len(shards), sum(s[3] for s in shards),
                       len(table), 0, zlib.crc32(table))
    return head + struct.pack("<I", zlib.crc32(head)) + table + places


WIDS = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "\u00e4",
        "shardlist": [{"url": "http://h/a%20b.tar?x", "md5sum": "00", "nsamples": 3, "filesize": 10240}, {"url": "b.tar", "nsamples": 0}]}
SEEDS = {
    "empty": b"", "none.index": index([]),
    "three.index": index([(b"a.tar", b'"e"', 5120, 3, [0, 2, 5, 9]), (b"b.tar.zst", b"", 999, 70, None), (b"c.tar", b"", 1024, 0, [0])]),
    "blocks.index": index([(b"a.tar", b"", 2000000, 2048, list(range(2049))), (b"b.tar", b"", 2000000, 1023, list(range(1, 1025)))]),
    "wids.json": json.dumps(WIDS, indent=2).encode(), "nested.json": b"[" * 70 + b"]" * 70,
    "escapes.json": b'{"wids_version":1.5e-3,"a":["\\u00e4\\ud83d\\ude00\\n",true,null,-0.5],"shardlist":[{}]}',
    "two.idx": b"v1.2 2\njpg 512 1000 a/0.jpg cls 2048 1 a/0.cls\njpg 3072 3 z.jpg\n", "old.idx": b"v1.1 2\njpg 512 1000 cls 2048 1\njpg 3072 3\n",
}
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
