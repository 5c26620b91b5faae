"""Makes tar archives with GNU tar and Python's tarfile, and beside each what a reader must see in it.

    archives.py DIR

DIR/NAME.tar, and DIR/NAME.expected: one line a field, "index key-hex sample-offset field-hex body-offset size
crc32-hex", as Python's tarfile and WebDataset's grouping rules (base_plus_ext, group_by_keys) give it; then
"ignored N".
"""

import io
import os
import random
import re
import subprocess
import sys
import tarfile
import zlib

LONG = "n" * 90
TREE = {
    "cat/0001.jpg": 5000, "cat/0001.cls": 2, "cat/0001.seg.PNG": 513, "cat/0002.JPG": 511, "cat/0002.cls": 0,
    "cat/0003.jpg": 512, "cat/0003.json": 1, "dog.v1/a.b.c": 1024, "dog.v1/b.": 3, "dog.v1/noext": 700,
    "dog.v1/.hidden": 9,
    "dog.v1/._a.jpg": 120, "dog.v1/c.txt": 4000, "z\u00e4h/\u00fc.jpg": 77, "zz.jpg": 12000, "zz.cls": 1,
    f"deep/{LONG[:60]}/{LONG[:60]}/x.jpg": 600, f"deep/{LONG[:60]}/{LONG[:60]}/x.cls": 1,
}
TOO_LONG = {f"long/{LONG}/{LONG}/{LONG}/y.jpg": 900, f"long/{LONG}/{LONG}/{LONG}/y.cls": 1, f"long/{'q' * 200}.jpg": 10}


def body(name, size):
    return random.Random(name).randbytes(size)


def write_tree(folder, files):
    for name, size in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body(name, size))
    os.symlink("0001.jpg", os.path.join(folder, "cat/0001.link.jpg"))
    os.link(os.path.join(folder, "cat/0001.jpg"), os.path.join(folder, "cat/0009.jpg"))
    os.mkfifo(os.path.join(folder, "cat/0002.fifo"))


def gnu_archives(out):
    for name, files in (("short", TREE), ("long", TREE | TOO_LONG)):
        folder = os.path.join(out, "tree-" + name)
        write_tree(folder, files)
        for form in ("v7", "oldgnu", "ustar", "gnu", "pax", "posix"):
            if name == "long" and form in ("v7", "ustar"):
                continue
            target = os.path.join(out, f"gnu-{form}-{name}.tar")
            command = ["tar", f"--format={form}", "--sort=name", "-cf", target, "-C", folder, "."]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if form == "v7" and "too long" in done.stderr:  # v7 has no room for the deep names: tar leaves them out
                continue
            assert done.returncode == 0, done.stderr
    subprocess.run(["tar", "--format=gnu", "-cf", os.path.join(out, "gnu-empty.tar"), "-T", "/dev/null"], check=True)
    folders = ["tar", "--format=gnu", "--no-recursion", "-cf", os.path.join(out, "gnu-folders.tar")]
    subprocess.run(folders + ["-C", out, "tree-short/cat"], check=True)


def add(archive, name, size, **fields):
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(body(name, size)) if info.isreg() else None)


def python_archives(out):
    for label, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        headers = {"comment": "made by a test"} if form == tarfile.PAX_FORMAT else None
        files = TREE if form == tarfile.USTAR_FORMAT else TREE | TOO_LONG
        with tarfile.open(os.path.join(out, f"py-{label}.tar"), "w", format=form, pax_headers=headers) as archive:
            add(archive, "a-folder", 0, type=tarfile.DIRTYPE)
            for name, size in files.items():
                # Numbers that don't fit octal: base-256 in gnu, a record in pax.
                large = {} if form == tarfile.USTAR_FORMAT else {"mtime": -5, "uid": 2**40}
                add(archive, name, size, **large)
            target = "zz.jpg" * (1 if form == tarfile.USTAR_FORMAT else 50)
            add(archive, "zz.link", 0, type=tarfile.SYMTYPE, linkname=target)
            add(archive, "zz.device", 0, type=tarfile.CHRTYPE)
            add(archive, "cat/0001.again", 5)  # a key that comes back is a new sample
            add(archive, "contiguous.bin", 600, type=tarfile.CONTTYPE)
            add(archive, "old.bin", 6, type=tarfile.AREGTYPE)
    with tarfile.open(os.path.join(out, "py-64k-name.tar"), "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "k" * 65536 + "/" + "j" * 1000 + ".jpg", 100)
        add(archive, "k" * 65536 + "/" + "j" * 1000 + ".cls", 1)
        add(archive, "after.jpg", 10)


def base_plus_ext(name):
    """WebDataset's, but for base names that begin with a dot: its expression takes the folder as the key there."""
    match = re.match(rb"^((?:.*/|)[^.]+)[.]([^/]*)$", name, re.DOTALL)
    base = name.rsplit(b"/", 1)[-1]
    return (None, None) if not match or base.startswith(b".") else match.groups()


def expected(path):
    lines, index, current, ignored = [], -1, None, 0
    raw = open(path, "rb").read()
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            name = member.name.encode("utf-8", "surrogateescape")
            key, field = base_plus_ext(name) if member.isreg() else (None, None)
            if key is None:
                ignored += 1
                continue
            if key != current:
                index, current, start = index + 1, key, member.offset
            data = raw[member.offset_data:member.offset_data + member.size]
            field = b"".join(bytes([c]).lower() for c in field)
            body_at = f"{member.offset_data} {member.size} {zlib.crc32(data):08x}"
            lines.append(f"{index} {key.hex()} {start} {field.hex()} {body_at}")
    return "".join(line + "\n" for line in lines + [f"ignored {ignored}"])


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    gnu_archives(out)
    python_archives(out)
    for name in sorted(os.listdir(out)):
        if name.endswith(".tar"):
            with open(os.path.join(out, name[:-4] + ".expected"), "w") as file:
                file.write(expected(os.path.join(out, name)))


main()
