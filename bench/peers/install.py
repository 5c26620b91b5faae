#!/usr/bin/python3
"""install.py - the peers, in virtual environments of their own under /var/tmp/leat-peers/venvs, from PyPI and Debian.

What:    python3 bench/peers/install.py [PEER ...]: makes what is missing, checks that each can be imported, and writes
         HOME/installed.json: {peer: {"ok", "venv", "versions", "reason"}}. What could not be installed stays in it,
         with the last line of the error.
Why so:  one environment for all who live with the same torch, as a user would have them; FFCV, TensorFlow and DALI
         apart, since they pin other versions of numpy. A CPU build of torch is taken if pip can find
         one (in a folder of its find-links); PyPI itself has only the CUDA build for Linux, whose CPU kernels are the
         same, but which brings gigabytes of libraries along.
Bounds:  five minutes for a step. A step that has been done is not done again: HOME/venvs/NAME/done-STEP says so.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ.get("LEAT_PEERS", "/var/tmp/leat-peers"))
STEP_SECONDS = 300
TORCH = "2.13.0"  # the newest with a CPU wheel where pip looks; torchvision 0.28.0 was released with it
# The steps of each environment: name, then pip's arguments; what one step has pinned holds for those after it.
TORCH_STEPS = [("torch", [f"torch=={TORCH}", "numpy", "pillow"]),
               ("torchvision", ["--no-deps", "torchvision==0.28.0"])]
VENVS = {
    "torch": TORCH_STEPS + [
        ("webdataset", ["webdataset"]),
        ("spdl", ["spdl-core", "spdl-io"]),
        ("turboloader", ["turboloader"]),
        ("litdata", ["litdata"]),
        ("mosaic", ["mosaicml-streaming"]),
    ],
    "ffcv": TORCH_STEPS + [("ffcv", ["ffcv"])],
    "tensorflow": [("tfdata", ["tensorflow-cpu", "pillow"])],
    "dali": [("dali", ["nvidia-dali-cuda120", "numpy"])],
}
DEBIAN = {
    "ffcv": ["g++", "pkg-config", "libopencv-dev", "libturbojpeg0-dev", "python3-dev"],
    "spdl": ["libavcodec59", "libavdevice59", "libavfilter8", "libavformat59", "libswscale6"],  # FFmpeg, which it loads
}
# peer: environment, step, what must import, distributions whose versions are told
PEERS = {
    "torch_dataloader": ("torch", "torchvision", "import torchvision_work", ["torch", "torchvision", "pillow"]),
    "webdataset": ("torch", "webdataset", "import webdataset", ["webdataset", "torch"]),
    "spdl": ("torch", "spdl", "import spdl.pipeline, spdl.io.lib; spdl.io.lib._libspdl.make_demuxer",
             ["spdl-core", "spdl-io", "torch"]),
    "turboloader": ("torch", "turboloader", "import turboloader", ["turboloader"]),
    "litdata": ("torch", "litdata", "import litdata", ["litdata", "torch"]),
    "mosaic_streaming": ("torch", "mosaic", "import torchvision_work, streaming", ["mosaicml-streaming", "torch"]),
    "ffcv": ("ffcv", "ffcv", "import torchvision_work, ffcv.loader, ffcv.fields.rgb_image", ["ffcv", "torch", "numba"]),
    "tfdata": ("tensorflow", "tfdata", "import tensorflow", ["tensorflow-cpu"]),
    "dali": ("dali", "dali", "import nvidia.dali.fn", ["nvidia-dali-cuda120"]),
}


def last_line(text):
    """The line that says why: the last with "error" in it, or simply the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.startswith(("note:", "hint:", "WARNING"))]
    return (errors or lines or ["no output"])[-1][:300]


def run(command, log, seconds=STEP_SECONDS, **options):
    """None, or the reason why it failed."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=seconds, check=False, **options)
    except subprocess.TimeoutExpired:
        return f"not done within {seconds} s: {' '.join(map(str, command))}"[:300]
    except OSError as error:
        return f"{command[0]}: {error}"
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(map(str, command))}\n{done.stdout}\n")
    return None if done.returncode == 0 else last_line(done.stdout)


def make_venv(venv, log):
    if (venv / "bin/python").exists():
        return None
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    reason = run([python, "-m", "venv", venv], log)
    if reason:  # Debian's python3 without python3-venv: another interpreter of the same version will do
        shutil.rmtree(venv, ignore_errors=True)
        other = shutil.which(f"python{sys.version_info[0]}.{sys.version_info[1]}") or sys.executable
        reason = run([other, "-m", "venv", venv], log)
    return reason


def install_debian(venv, packages, log):
    missing = [package for package in packages
               if subprocess.run(["dpkg", "-s", package], capture_output=True, check=False).returncode != 0]
    if not missing:
        return None
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    run([*sudo, "apt-get", "update"], log)
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]
    return run([*apt, *missing], log)


def pip_step(venv, arguments, log):
    """torch keeps its version: a later peer must not replace the one that the earlier ones were checked with."""
    pins = venv / "pins.txt"
    frozen = subprocess.run([venv / "bin/pip", "freeze"], capture_output=True, text=True, timeout=60, check=False)
    kept = [line for line in frozen.stdout.splitlines() if line.startswith(("torch==", "torchvision=="))]
    pins.write_text("\n".join(kept))
    return run([venv / "bin/pip", "install", "--no-input", "--prefer-binary", "-c", pins, *arguments], log)


def build(name, wanted):
    """Carries out the environment's steps up to those wanted; returns {step: reason or None}."""
    HOME.joinpath("venvs").mkdir(parents=True, exist_ok=True)
    venv, log = HOME / "venvs" / name, HOME / f"install-{name}.log"
    reasons = {}
    broken = make_venv(venv, log)
    for step, arguments in VENVS[name]:
        if step not in wanted and step not in ("torch", "torchvision"):
            continue
        mark = venv / f"done-{step}"
        done = " ".join(arguments + DEBIAN.get(step, []))
        if mark.exists() and mark.read_text() == done:
            reasons[step] = None
            continue
        print(f"{name}: {' '.join(arguments)} ...", file=sys.stderr, flush=True)
        reason = broken or (install_debian(venv, DEBIAN[step], log) if step in DEBIAN else None)
        reason = reason or pip_step(venv, arguments, log)
        if reason is None:
            mark.write_text(done)
        if step in ("torch", "torchvision") and reason:
            broken = reason  # whatever comes after needs it
        reasons[step] = reason
    return reasons


def versions_of(python, distributions):
    script = ("import importlib.metadata as m, json, sys, platform\nfound = {'python': platform.python_version()}\n"
              "for name in sys.argv[1:]:\n    try: found[name] = m.version(name)\n"
              "    except m.PackageNotFoundError: pass\nprint(json.dumps(found))")
    done = subprocess.run([python, "-c", script, *distributions], capture_output=True, text=True, timeout=60,
                          check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def check(peer, reasons):
    venv, step, imports, distributions = PEERS[peer]
    python = HOME / "venvs" / venv / "bin/python"
    reason = reasons.get(step)
    if reason is None:
        here = str(Path(__file__).resolve().parent)
        reason = run([python, "-c", imports], HOME / f"install-{venv}.log", 120,
                     env={**os.environ, "PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1"})
    return {"ok": reason is None, "venv": str(python.parent.parent), "reason": reason,
            "versions": versions_of(python, distributions) if python.exists() else {}}


def install(peers):
    """Installs and checks; returns {peer: ...} of all that are known by now."""
    path = HOME / "installed.json"
    known = json.loads(path.read_text())["peers"] if path.exists() else {}
    for venv in dict.fromkeys(PEERS[peer][0] for peer in peers):
        steps = {PEERS[peer][1] for peer in peers if PEERS[peer][0] == venv}
        reasons = build(venv, steps)
        for peer in (peer for peer in peers if PEERS[peer][0] == venv):
            known[peer] = check(peer, reasons)
            print(f"{peer}: {'ok' if known[peer]['ok'] else known[peer]['reason']}", file=sys.stderr, flush=True)
        HOME.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": platform.platform(), "peers": known}, indent=1))
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    peers = parser.parse_args().peers or list(PEERS)
    for peer in peers:
        if peer not in PEERS:
            parser.error(f"no peer {peer}; known: {', '.join(PEERS)}")
    return 0 if all(install(peers)[peer]["ok"] for peer in peers) else 1


if __name__ == "__main__":
    sys.exit(main())
