#!/usr/bin/python3
"""seed_reply.py DIR - writes the seeds of fuzz_reply: a response header for each thing that is looked at."""
import sys
from pathlib import Path

OK, PARTIAL = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 206 Partial Content\r\n"
SEEDS = {
    "whole": OK + b"Content-Length: 200\r\nETag: \"a\"\r\nLast-Modified: Tue, 01 Jul 2025 10:00:00 GMT\r\n\r\n",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n",
    "both": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n",
    "two": OK + b"Content-Length: 200\r\nContent-Length: 201\r\n\r\n",
    "huge": OK + b"Content-Length: 18446744073709551615\r\n\r\n",
    "range": PARTIAL + b"Content-Range: bytes 100-199/200\r\nContent-Length: 100\r\nETag: \"a\"\r\n\r\n",
    "within": PARTIAL + b"Content-Range: bytes 100-149/200\r\nContent-Length: 50\r\nETag: \"a\"\r\n\r\n",
    "beyond": PARTIAL + b"Content-Range: bytes 100-150/200\r\nContent-Length: 51\r\nETag: \"a\"\r\n\r\n",
    "too_short": PARTIAL + b"Content-Range: bytes 0-119/120\r\nContent-Length: 120\r\nETag: \"b\"\r\n\r\n",
    "star": PARTIAL + b"Content-Range: bytes 100-199/*\r\nETag: \"a\"\r\n\r\n",
    "edge": PARTIAL + b"Content-Range: bytes 18446744073709551613-18446744073709551614/*\r\nETag: \"a\"\r\n\r\n",
    "backwards": PARTIAL + b"Content-Range: bytes 100-50/200\r\nContent-Length: 18446744073709551567\r\n\r\n",
    "unsatisfied": b"HTTP/1.1 416 x\r\nContent-Range: bytes */100\r\n\r\n",
    "encoded": OK + b"Content-Encoding: gzip\r\n\r\n",
    "moved": b"HTTP/1.1 302 x\r\nLocation: /a\r\nLocation: /b\r\n\r\n",
    "later": b"HTTP/1.1 503 \r\nRetry-After: 999999999999999999999\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n\r\n",
    "interim": b"HTTP/1.1 103 x\r\nETag: \"b\"\r\n\r\n" + OK + b"\r\n", "garbage": b"HTTP/\r\n:\r\n\0:\r\nx", "empty": b"",
}
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
