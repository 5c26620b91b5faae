#!/usr/bin/python3
"""seed_entries.py DIR - writes the seeds of fuzz_entries: a small list or manifest of each form, good and bad."""
import sys
from pathlib import Path

SHA, MD5 = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", b"d41d8cd98f00b204e9800998ecf8427e"
SEEDS = {
    "plain": b"\xef\xbb\xbf# c\r\n\r\nhttps://u:p@h/t-{000..012}.tar?x=%20#f\nx/y{a,b}.jpg\n/abs\n",
    "json": b'{"url": "http://h/a%20b", "path": "n/\\u00e4", "bytes": 12, "sha256": "' + SHA + b'", "x": [1, {}]}\n'
            b'{"source":"l","size":3,"md5":"' + MD5 + b'","crc32c":"0a1b2c3d"}\n{"path":"only/p","sha256":null}\n',
    "sums": SHA + b"  ./a/b c.tar\n" + MD5 + b" *bin\n\\" + SHA + b"  x\\\\y\\nz\\r\n" + SHA + b"  http://h/q/w?k\n",
    "same": SHA + b"  a/x\n" + SHA + b"  b/x\n" + MD5 + b"  a/x\n" + SHA + b"  x\n",
    "csv": b'size,URL,note,sha256\n5,http://h/a,"x, ""y""",' + SHA + b'\r\n,"http://h/b,c",,\n',
    "tabs": b'path\tsource\tmd5\tbytes\np/q\tl.jpg\t' + MD5 + b'\t1\nr\t"u"\t\t\n', "column": b"url\nhttp://h/{1,2},3\n",
    "names": b"http://h/../../etc/passwd\nhttp://h/.leat/x\nhttp://h//%2e/a. /b..\n"
             b"http://h/%ff%c0%af%0a\nhttp://h/\x1b[2J\xe2\x80\xae\n",
    "long": b"http://h/" + b"x" * 300 + b".tar\n" + b"y/" * 2100 + b"z\n", "schemes": b"s3://b/k\nfile:///x\n//h/x\nhttp://\n",
    "nul": b"a\0b\nc\n", "malformed": b"a\nb{1..\nc{0..99999999999999}\n", "line": b"z" * 65537 + b"\nk\n", "empty": b"",
}
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
