#!/usr/bin/python3
"""seed_decompress.py DIR - writes the seeds of fuzz_decompress: what the zstd and gzip tools make, joined, and cut."""
import subprocess
import sys
from pathlib import Path

TEXT = b"".join(b"line %d of a text that repeats itself\n" % i for i in range(200))
NOISE = bytes((i * i * 2654435761 >> 13) & 255 for i in range(3000))
TOOLS = {
    "zstd": ["zstd", "-q"], "zstd-19": ["zstd", "-q", "-19"], "zstd-fast": ["zstd", "-q", "--fast=5"],
    "zstd-bare": ["zstd", "-q", "--no-check", "--no-content-size"], "zstd-long": ["zstd", "-q", "--long=24"],
    "gzip": ["gzip", "-n"], "gzip-1": ["gzip", "-n", "-1"],
}
SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\x00\x00\x00abcde"

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
made = {}
for name, command in TOOLS.items():
    for kind, data in (("text", TEXT), ("noise", NOISE), ("empty", b"")):
        done = subprocess.run([*command, "-c"], input=data, capture_output=True, check=True)
        made[f"{name}-{kind}"] = done.stdout
made["two-frames"] = made["zstd-text"] + made["zstd-bare-noise"]
made["two-members"] = made["gzip-text"] + made["gzip-1-noise"]
made["skippable"] = SKIPPABLE + made["zstd-noise"] + SKIPPABLE
made["padded"] = made["gzip-text"] + bytes(512)
made["garbage"] = made["gzip-text"] + b"garbage"
made["zeros"] = subprocess.run(["zstd", "-q", "-c"], input=bytes(1 << 18), capture_output=True, check=True).stdout
made["plain"] = TEXT[:600]
for name, data in made.items():
    (folder / name).write_bytes(data)
