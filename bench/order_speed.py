#!/usr/bin/python3
"""order_speed.py - what shuffling, ranks and mixing cost: samples/s against plain sequential reading, side by side.

    bench/order_speed.py --leat build/cli/leat --data /var/tmp/leat-bench3 [--rounds 7] [--json]

The work is `leat bench` of the JPEG set (bench/data) with 2 threads: random-resized crop, flip, float32, batches of 64 on each rank. Each
row runs once a round, in turns; its ratio to the sequential row of the same round is what counts, as the machine's speed moves.
An index is made beside the shards (leat index)."""
import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

WORK = ["--crop", "random-resized", "--flip", "--dtype", "f32", "--threads", "2", "--json"]


def rows(data):
    tar, folder = str(data / "jpeg/tar"), str(data / "jpeg/folder")
    return {
        "sequential, no index": [tar, "--order", "sequential", "--index", "none"],
        "sequential, indexed": [tar, "--order", "sequential"],
        "shuffled, no index": [tar, "--index", "none"],
        "shuffled, indexed": [tar],
        "shuffled, rank 0 of 2": [tar, "--world", "2", "--rank", "0"],
        "shuffled, rank 1 of 3": [tar, "--world", "3", "--rank", "1"],
        "mixed 2:1 with the folder": [tar, "--weight", "2", "--mix", f"{folder}=1", "--epoch-samples", "2048"],
        "mixed, rank 1 of 2": [tar, "--weight", "2", "--mix", f"{folder}=1", "--epoch-samples", "2048", "--world", "2", "--rank", "1"],
    }


def rate(leat, arguments):
    world = int(arguments[arguments.index("--world") + 1]) if "--world" in arguments else 1
    more = ["--batch", str(64 * world), "--epochs", str(2 * world)]  # every row delivers as many samples, in as many batches
    done = subprocess.run([leat, "bench", *arguments, *more, *WORK], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["samples_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leat", default=Path(__file__).resolve().parent.parent / "build/cli/leat")
    parser.add_argument("--data", type=Path, default=Path("/var/tmp/leat-bench3"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    subprocess.run([arguments.leat, "index", str(arguments.data / "jpeg/tar")], stdout=subprocess.DEVNULL, check=True)
    ways = rows(arguments.data)
    rates = {name: [] for name in ways}
    for turn in range(arguments.rounds):
        for name, way in ways.items():
            rates[name].append(rate(arguments.leat, way))
        print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
    plain = rates["sequential, no index"]
    results = []
    for name, values in rates.items():
        ratios = sorted(value / base for value, base in zip(values, plain))
        results.append({"name": name, "per_second": statistics.median(values), "ratio": statistics.median(ratios),
                        "low": ratios[0], "high": ratios[-1]})
    if arguments.json:
        print(json.dumps(results))
        return
    for row in results:
        print(f"{row['name']:<28} {row['per_second']:7.0f}/s  {row['ratio']:.3f} of sequential ({row['low']:.3f}..{row['high']:.3f})")


if __name__ == "__main__":
    main()
