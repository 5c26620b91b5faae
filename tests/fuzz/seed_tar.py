#!/usr/bin/python3
"""seed_tar.py DIR - writes the seeds of fuzz_tar: the archives that tests/archives.py makes, without its trees."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_BYTES = 200_000  # larger ones only take time

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
archives = Path(__file__).resolve().parent.parent / "archives.py"
with tempfile.TemporaryDirectory() as made:
    subprocess.run([sys.executable, archives, made], check=True)
    for name in sorted(os.listdir(made)):
        path = Path(made, name)
        if path.suffix == ".tar" and path.stat().st_size <= MOST_BYTES:
            shutil.copyfile(path, folder / name)
