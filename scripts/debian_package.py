"""Fetches a Debian package and unpacks it, without installing it: where this tree's photographs come from."""
import shutil
import subprocess
import sys
from pathlib import Path


def fetch(package, cache):
    """Returns (folder, version) of the unpacked package; both stay in `cache` and are not fetched again."""
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / package
    mark = folder / ".version"
    if mark.exists():
        return folder, mark.read_text().strip()
    archives = sorted(cache.glob(f"{package}_*.deb"))
    if not archives:
        done = subprocess.run(["apt-get", "-q", "download", package], cwd=cache, capture_output=True, text=True)
        archives = sorted(cache.glob(f"{package}_*.deb"))
        if done.returncode or not archives:
            sys.exit(f"cannot download the package {package} (is `apt-get update` needed?):\n{done.stderr.strip()}")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", archives[-1], folder], check=True)
    version = subprocess.run(["dpkg-deb", "-f", archives[-1], "Version"], check=True, capture_output=True, text=True)
    mark.write_text(version.stdout)
    return folder, version.stdout.strip()
