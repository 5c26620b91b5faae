#!/usr/bin/python3
"""of_ideal.py - what the pipeline costs: `leat bench` against the ideal loop, by source and by number of threads.

What:    in each round every source is read once with every number of threads, and after each local run the ideal loop is
         measured in the same process. of_ideal is the median of the rounds, with the range.
Why so:  the machine's speed drifts, so a rate is only compared with an ideal that was measured within seconds of it.
         A server on the same machine takes CPU that a server elsewhere would not: its CPU seconds are counted, and the
         ideal that HTTP is held against is the one of the CPUs that were left (both figures are printed).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from servers import Nginx  # noqa: E402

WORK = ("--image 224x224 --crop random-resized --flip --dtype f32 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
        "--batch 64 --json").split()
LOCAL = {"tar": "jpeg/tar", "tar.zst": "jpeg/tar.zst", "folder": "jpeg/folder"}
CPUS = len(os.sched_getaffinity(0))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench(leat, source, threads, epochs, *more):
    command = [leat, "bench", str(source), *WORK, "--threads", str(threads), "--epochs", str(epochs), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        sys.exit(f"of_ideal: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def file_list(data, url, path):
    """A list of URLs of the loose files, for leat's @list."""
    names = sorted((data / LOCAL["folder"]).rglob("*.jpg"))
    path.write_text("".join(f"{url}/{name.relative_to(data)}\n" for name in names))
    return f"@{path}"


def measure(arguments, http, nginx_pid, samples):
    """One round: appends a record to samples[source, threads] for each."""
    for threads in arguments.threads:
        ideals = []
        for name, folder in LOCAL.items():
            report = bench(arguments.leat, arguments.data / folder, threads, arguments.epochs, "--ideal")
            ideal = report["ideal_samples_per_second"]
            ideals.append(ideal)
            samples.setdefault((name, threads), []).append(record(report, ideal, 1))
        for name, source in http.items():
            before = cpu_seconds(nginx_pid)
            report = bench(arguments.leat, source, threads, arguments.epochs)
            server = (cpu_seconds(nginx_pid) - before) / report["seconds"]
            # the share of the CPUs the loader could use that the server left to it
            left = min(threads, CPUS - server) / min(threads, CPUS)
            samples.setdefault((name, threads), []).append(record(report, statistics.mean(ideals), left))


def record(report, ideal, left):
    rate = report["samples_per_second"]
    return {"rate": rate, "ideal": ideal, "of_ideal": rate / (ideal * left), "with_server": rate / ideal,
            "first_batch_seconds": report["first_batch_seconds"], "peak_rss_bytes": report["peak_rss_bytes"],
            "cpu_ms": 1000 * report["cpu_seconds"] / report["samples"]}


def summary(records):
    out = {key: statistics.median(r[key] for r in records) for key in records[0]}
    ratios = sorted(r["of_ideal"] for r in records)
    return {**out, "low": ratios[0], "high": ratios[-1], "rounds": len(records)}


def print_table(results):
    print("| source | threads | images/s | ideal | `of_ideal` (range) | with the server's CPU | CPU ms an image | first batch"
          " | peak RSS |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in results:
        server = f"{row['with_server']:.3f}" if row["source"].startswith("http") else "—"
        print(f"| {row['source']} | {row['threads']} | {row['rate']:,.0f} | {row['ideal']:,.0f} | {row['of_ideal']:.3f} "
              f"({row['low']:.3f}..{row['high']:.3f}) | {server} | {row['cpu_ms']:.3f} | {row['first_batch_seconds']:.3f} s "
              f"| {row['peak_rss_bytes'] / 1e6:.0f} MB |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leat", default=str(ROOT / "build/cli/leat"))
    parser.add_argument("--data", type=Path, default=Path("/var/tmp/leat-bench3"), help="as bench/data makes it")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    arguments = parser.parse_args()
    samples = {}
    with tempfile.TemporaryDirectory() as scratch, Nginx(str(arguments.data), scratch) as nginx:
        url = f"http://127.0.0.1:{nginx.port}"
        shards = len(list((arguments.data / "jpeg/tar").glob("*.tar")))
        http = {"http tar": f"{url}/jpeg/tar/train-{{000000..{shards - 1:06d}}}.tar",
                "http folder": file_list(arguments.data, url, Path(scratch) / "list")}
        for _ in range(arguments.rounds):
            measure(arguments, http, nginx.process.pid, samples)
    results = [{"source": source, "threads": threads, **summary(records)}
               for (source, threads), records in sorted(samples.items())]
    if arguments.json:
        print(json.dumps(results))
    else:
        print_table(results)


if __name__ == "__main__":
    main()
