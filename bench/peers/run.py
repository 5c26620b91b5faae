#!/usr/bin/python3
"""run.py - leat and its peers at the same work, on the same cores, in turns: one command.

    python3 bench/peers/run.py --data DIR --leat build/cli/leat --out DIR [--works rrc,full,png,http] [--rounds 5]

What:    installs the peers (install.py), converts the data for those with a format of their own, then for each work runs
         each peer in a process of its own, A B C A B C ..., starting each round with another one; measures from outside
         (measure.py); writes results.json, table.md and chart.svg (report.py). http: nginx serves the data folder on
         loopback; its CPU time is told apart.
Why so:  a machine's speed drifts; only what ran in turns can be compared. A round that is not counted comes first: it
         fills the page cache and shows who can't. Who fails is in the results with the last line of what it said.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests")]
sys.dont_write_bytecode = True
import common  # noqa: E402
import install  # noqa: E402
import leat_command  # noqa: E402
import report  # noqa: E402
from leat_command import OURS  # noqa: E402
from servers import Nginx  # noqa: E402

FILES = {"torch_dataloader": "torch_dataloader.py", "webdataset": "webdataset_loader.py", "spdl": "spdl_loader.py",
         "turboloader": "turboloader_loader.py", "litdata": "litdata_loader.py",
         "mosaic_streaming": "mosaic_streaming.py", "ffcv": "ffcv_loader.py", "tfdata": "tfdata.py", "dali": "dali.py"}
PREPARE_SECONDS = 900
TIMES = {"png": 2, "large": 2}  # epochs for one of the others: these sets are smaller
SETTINGS = ("threads", "batch", "epochs", "images", "rounds", "data")  # those that the results tell


def say(text):
    print(text, file=sys.stderr, flush=True)


def python_of(peer):
    return str(install.HOME / "venvs" / install.PEERS[peer][0] / "bin/python")


def last_error(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "no message"


def program(peer, step, work, options, **more):
    arguments = {"work": work, "data": options.data, "threads": options.threads, "batch": options.batch, **more}
    return [python_of(peer), "-B", str(HERE / FILES[peer]), step,
            *(word for name, value in arguments.items() if value for word in (f"--{name}", str(value)))]


def prepare(peer, work, options):
    """None, or the reason why this peer can't do this work."""
    if peer in OURS:
        return "reads the shards there" if (peer, work) == ("leat-folder", "http") else None
    try:
        done = subprocess.run(program(peer, "prepare", work, options), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=PREPARE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"prepare took more than {PREPARE_SECONDS} s"
    return last_error(done.stderr) if done.returncode else None


def server_seconds(nginx):
    if not nginx:
        return 0.0
    with open(f"/proc/{nginx.process.pid}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def run_once(peer, work, options, nginx, epochs, images):
    """One measured run: its figures, or {"error": ...}."""
    url = nginx.url("").rstrip("/") if nginx else ""
    if peer in OURS:
        settings = types.SimpleNamespace(work=work, data=options.data, threads=options.threads, batch=options.batch,
                                         epochs=epochs, images=images, url=url)
        command = leat_command.command(settings, options.leat, OURS[peer])
    else:
        command = program(peer, "run", work, options, epochs=epochs, images=images, url=url)
    pinned = ["--cpus", ",".join(map(str, options.cpus))] if options.threads < os.cpu_count() else []
    served = server_seconds(nginx)
    measured = [sys.executable, str(HERE / "measure.py"), "--timeout", str(options.timeout), *pinned, "--", *command]
    done = subprocess.run(measured, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": last_error(done.stderr)}
    figures = json.loads(done.stdout)
    text, error = figures.pop("stdout"), figures.pop("error")
    if figures["timed_out"] or figures["code"]:
        why = f"not done within {options.timeout:g} s; " if figures["timed_out"] else ""
        return {"error": why + last_error(error)}
    try:
        told = json.loads(text if peer in OURS else text.strip().splitlines()[-1])
        if peer in OURS:
            told = leat_command.result(settings, told, figures["wall_seconds"])
    except (ValueError, IndexError, AssertionError) as problem:
        return {"error": f"{type(problem).__name__}: {problem}"}
    figures = {**told, **figures, "server_cpu_seconds": server_seconds(nginx) - served}
    spent = figures["cpu_seconds"]
    figures["cpu_seconds_per_1000_images"] = 1000 * spent / figures["images"]
    figures["loader_cpu_seconds_per_1000_images"] = 1000 * (spent - figures["import_cpu_seconds"]) / figures["images"]
    return figures


def measure_work(work, peers, options, nginx):
    """{peer: {"runs": [...], "error": reason or None}}; who cannot do the work is not asked again."""
    results = {}
    for peer in peers:
        reason = prepare(peer, work, options)
        if not reason and options.warm:
            reason = run_once(peer, work, options, nginx, 1, options.images).get("error")
        results[peer] = {"runs": [], "error": reason}
        say(f"{work}: {peer}: {reason or 'ready'}")
    able = [peer for peer in peers if not results[peer]["error"]]
    for number in range(options.rounds):
        turn = number % max(1, len(able))
        for peer in able[turn:] + able[:turn]:
            figures = run_once(peer, work, options, nginx, options.epochs * TIMES.get(work, 1), options.images)
            results[peer]["runs"].append(figures)
            rate = figures.get("error") or f"{figures['steady_images_per_second']:.0f} images/s"
            say(f"{work}: round {number + 1}: {peer}: {rate}")
    return results


def measure_all(peers, options):
    results = {}
    for work in options.works:
        if not os.path.isdir(os.path.join(options.data, common.SETS[work], "tar")):
            say(f"{work}: no {common.SETS[work]}/tar in {options.data}: left out")
            continue
        if work == "http":
            with tempfile.TemporaryDirectory() as scratch, Nginx(os.path.abspath(options.data), scratch) as nginx:
                results[work] = measure_work(work, peers, options, nginx)
        else:
            results[work] = measure_work(work, peers, options, None)
    return results


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model, "cores": os.cpu_count(), "memory_bytes": memory, "system": platform.platform(),
            "load": os.getloadavg()[0]}


def words(text):
    return [word for word in text.split(",") if word]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="as made by bench/data")
    parser.add_argument("--leat", required=True, metavar="PATH", help="the command, of a release build")
    parser.add_argument("--out", required=True, metavar="DIR", help="for results.json, table.md, chart.svg")
    parser.add_argument("--works", type=words, default=["rrc", "full", "png", "http"],
                        help="of " + ",".join(common.SETS))
    parser.add_argument("--peers", type=words, default=[*OURS, *FILES], help="of " + ",".join(OURS) + "," + ",".join(FILES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="in one run (default 3); twice as many of png and large")
    parser.add_argument("--images", type=int, default=0, help="so many an epoch (default 0: all)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="cores (default: all)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one run")
    parser.add_argument("--no-install", action="store_true")
    parser.add_argument("--no-warm", dest="warm", action="store_false", help="without the round that is not counted")
    options = parser.parse_args()
    for kind, given, known in (("work", options.works, common.SETS), ("peer", options.peers, [*OURS, *FILES])):
        for word in given:
            if word not in known:
                parser.error(f"no {kind} {word}; known: {', '.join(known)}")
    options.cpus = sorted(os.sched_getaffinity(0))[:options.threads]
    return options


def main():
    options = arguments()
    others = [peer for peer in options.peers if peer not in OURS]
    path = install.HOME / "installed.json"
    installed = {}
    if others:
        installed = json.loads(path.read_text())["peers"] if options.no_install else install.install(others)
    absent = {peer: installed.get(peer, {"reason": "was not tried"})["reason"] for peer in others
              if not installed.get(peer, {}).get("ok")}
    peers = [peer for peer in options.peers if peer not in absent]
    results = {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "machine": machine(),
               "settings": {key: getattr(options, key) for key in SETTINGS},
               "versions": {peer: installed[peer]["versions"] for peer in others if peer in installed},
               "not_installed": absent, "works": measure_all(peers, options)}
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1))
    (out / "table.md").write_text(report.table(results))
    (out / "chart.svg").write_text(report.chart(results))
    print(report.table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
