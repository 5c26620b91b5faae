#!/usr/bin/python3
"""fetch.py - leat fetch against curl, aria2c, aiohttp and a bare libcurl loop, in turns, from nginx on the same machine.

    bench/fetch.py --build build [--work small,large,delay,durable,loader,storm,memory] [--rounds 7] [--json]

What:    small    4,096 files of ~58 KB into tmpfs, files/s: leat at least 1.25 times curl
         large    8 files of 1 GB into tmpfs, MB/s: leat at least 0.95 of curl
         delay    the small files from a server 50 ms away (bench-delayproxy), the tool on one core: at least 1,000/s
         durable  the small files onto a disk, with --durable and --no-durable; and how many syncs that takes
         loader   the small files as undecoded rows of the loader: at least 0.85 of the bare loop
         storm    a run whose server answers nothing but 503 for 10 s: seconds until 90% of the rate before is back: <= 10
         memory   lists of 10 million lines: < 200 MB
Why so:  each tool runs once a round, in turns; its ratio to the work's yardstick in the same round is what counts, as the
         machine's speed moves. The server's CPU is taken from the same cores.
"""
import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path

import fetch_runs
from fetch_servers import Far, Near
from fetch_tools import TOOLS, Job, run

ROOT = Path(__file__).resolve().parent.parent
SMALL, SMALL_BYTES, LARGE, LARGE_BYTES = 4096, 58000, 8, 1 << 30
RTT_MS = 50
PEERS = ["leat fetch", "curl -Z", "aria2c"]
# work: its tools, the yardstick, and what is asked of the first: "ratio" or "rate"
WORKS = {
    "small": (PEERS + ["aiohttp, gather (memory)", "bare libcurl loop (memory)"], "curl -Z", ("ratio", 1.25)),
    "large": (PEERS, "curl -Z", ("ratio", 0.95)),
    "delay": (["leat fetch", "leat fetch, 256 jobs", "curl -Z", "curl -Z, 256", "aria2c"], "curl -Z", ("rate", 1000)),
    "durable": (["leat fetch", "leat fetch, not durable", "curl -Z", "aria2c"], "leat fetch, not durable", None),
    "loader": (["loader, bytes undecoded", "leat's HTTP client (memory)", "bare libcurl loop (memory)"],
               "bare libcurl loop (memory)", ("ratio", 0.85)),
}
# other settings of a tool, "TOOL, HOW"
CHANGES = {"not durable": {"sync": False}, "256 jobs": {"parallel": 256}, "256": {"parallel": 256}}
SINGLE = {"storm": fetch_runs.storm, "memory": fetch_runs.memory}


def say(text):
    print(f"fetch: {text}", file=sys.stderr, flush=True)


def make_files(root):
    """The small files, of 29 to 87 KB; and one of 1 GB, under the names of all large ones. Gives [(path, bytes)] of both."""
    draw, small, large = random.Random(5), [], []
    for folder in ("small", "large"):
        (root / folder).mkdir()
    noise = draw.randbytes(1 << 20)
    for i in range(SMALL):
        size = draw.randrange(SMALL_BYTES // 2, SMALL_BYTES * 3 // 2)
        (root / f"small/{i:05d}.bin").write_bytes(noise[:size])
        small.append((f"small/{i:05d}.bin", size))
    with open(root / "large/0.bin", "wb") as file:
        for _ in range(LARGE_BYTES >> 20):
            file.write(noise)
    for i in range(LARGE):
        if i > 0:
            os.link(root / "large/0.bin", root / f"large/{i}.bin")
        large.append((f"large/{i}.bin", LARGE_BYTES))
    return small, large


def job_of(work, name, arguments, near, far, scratch, files):
    small, large = files
    chosen, server = large if work == "large" else small, far if work == "delay" else near
    to = Path(arguments.disk if work == "durable" else scratch) / "leat-bench-fetched"
    changes = CHANGES.get(name.partition(", ")[2], {})
    return Job(build=arguments.build, scratch=scratch, to=to, files=[(server.url(path), size) for path, size in chosen],
               core=0 if work == "delay" else None, large=work == "large", **changes)


def compare(work, arguments, near, far, scratch, files):
    """The rows of one work: medians of rounds in turns."""
    tools, yardstick, asked = WORKS[work]
    tools = [name for name in tools if not arguments.tools or any(wanted in name for wanted in arguments.tools)]
    unit = "bytes_per_second" if work == "large" else "files_per_second"
    near.on_core(1 if work == "delay" else None)
    seen = {name: [] for name in tools}
    for turn in range(arguments.rounds):
        for name in tools:
            job = job_of(work, name, arguments, near, far, scratch, files)
            if work == "durable":
                os.sync()  # what others have written is not this one's to wait for
            seen[name].append(run(name if name in TOOLS else name.partition(", ")[0], job))
        say(f"{work}: round {turn + 1} of {arguments.rounds}")
    near.on_core(None)
    return [row_of(work, name, runs, seen.get(yardstick), unit, asked if name == WORKS[work][0][0] else None)
            for name, runs in seen.items()]


def row_of(work, name, runs, base, unit, asked):
    def median(key):
        return statistics.median(one[key] for one in runs)
    rates = sorted(one[unit] for one in runs)
    ratios = sorted(one[unit] / other[unit] for one, other in zip(runs, base or []))
    row = {"work": work, "name": name, "per_second": median(unit), "low": rates[0], "high": rates[-1],
           "ratios": [statistics.median(ratios), ratios[0], ratios[-1]] if ratios else None,
           "cpu_seconds": median("cpu_seconds"), "peak_bytes": median("peak_bytes")}
    if asked and (base or asked[0] == "rate"):
        value = row["ratios"][0] if asked[0] == "ratio" else row["per_second"]
        row.update(asked=f">= {asked[1]:g}", reached=value >= asked[1])
    return row


def print_rows(work, rows):
    scale, unit = (1e6, "MB/s") if work == "large" else (1, "files/s")
    print(f"\n{work}\n\n| tool | {unit} (range) | times {WORKS[work][1]} (range) | CPU s | peak MB | asked | reached |\n"
          "| --- | ---: | ---: | ---: | ---: | --- | --- |")
    for row in rows:
        reached = {True: "yes", False: "**no**", None: ""}[row.get("reached")]
        ratios = "{:.2f} ({:.2f}..{:.2f})".format(*row["ratios"]) if row["ratios"] else "—"
        print(f"| {row['name']} | {row['per_second'] / scale:,.0f} ({row['low'] / scale:,.0f}..{row['high'] / scale:,.0f}) "
              f"| {ratios} | {row['cpu_seconds']:.2f} "
              f"| {row['peak_bytes'] / 1e6:.0f} | {row.get('asked', '')} | {reached} |")


def print_values(work, rows):
    print(f"\n{work}\n\n| what | measured | asked | reached |\n| --- | ---: | --- | --- |")
    for row in rows:
        reached = {True: "yes", False: "**no**", None: ""}[row.get("reached")]
        print(f"| {row['name']} | {row['value']:,.4g} {row['unit']} | {row.get('asked', '')} | {reached} |")


def measure(arguments, scratch):
    """{work: rows}; prints each as it is there."""
    root, found = scratch / "root", {}
    root.mkdir()
    files = make_files(root)
    with Near(str(root), str(scratch)) as near, Far(near.port, RTT_MS // 2, arguments.build / "bench/bench-delayproxy", 1) as far:
        for work in arguments.work:
            if work in WORKS:
                rows = compare(work, arguments, near, far, scratch, files)
                if not arguments.json:
                    print_rows(work, rows)
                if work == "durable" and any(row["name"] == "leat fetch" for row in rows):
                    counts = fetch_runs.syncs(job_of(work, "leat fetch", arguments, near, far, scratch, files))
                    rows += counts
                    if not arguments.json:
                        print_values("durable: system calls", counts)
            else:
                rows = SINGLE[work](arguments, near, far, scratch, [path for path, _ in files[0]])
                if not arguments.json:
                    print_values(work, rows)
            found[work] = rows
            sys.stdout.flush()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--work", type=lambda text: text.split(","), default=[*WORKS, *SINGLE])
    parser.add_argument("--tools", type=lambda text: text.split(","), default=[], help="only those with such a word in their name")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-dir", default="/dev/shm", help="a tmpfs with 18 GB")
    parser.add_argument("--disk", default="/var/tmp", help="where durable writes go")
    parser.add_argument("--lines", type=int, default=10_000_000, help="of the lists whose memory is measured")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables: a list of rows for each work")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    unknown = set(arguments.work) - {*WORKS, *SINGLE}
    if unknown:
        parser.error(f"--work: {', '.join(sorted(unknown))}: not one of {', '.join([*WORKS, *SINGLE])}")
    with tempfile.TemporaryDirectory(dir=arguments.memory_dir, prefix="leat-fetch-") as scratch:
        found = measure(arguments, Path(scratch))
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
