#!/usr/bin/python3
"""seed_list.py DIR - writes the seeds of fuzz_list: one small list for each form that a line can have."""
import sys
from pathlib import Path

SEEDS = {
    "comments": b"# c\ncat/1.jpg\r\n\r\n  \ndog/{1..9..2}.jpg\nx{a,b{c,d}}.tar\n",
    "urls": b"https://u:p@h/t-{000..012}.tar?x=%20#f\nHTTP://h/%41%2f%zz/b.JPG\nhttp://h\n",
    "mark": b"\xef\xbb\xbf{,}{-2..3}{03..1}\n/abs/..//x.\n",
    "malformed": b"a\nb{1..\n", "mixed": b"http://h/a.tar\n/b.tar\n", "scheme": b"s3://b/k.tar\n",
    "nul": b"a\0b\n", "wide": b"{0..9223372036854775807}\n", "control": b"\x1b[2J\xc2\x85\xff.jpg\n",
    "nested": b"{" * 17 + b"0,0" + b"},0" * 16 + b"}\n", "empty": b"",
}
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
