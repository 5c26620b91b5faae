"""fetch_runs.py - the measurements of bench/fetch.py that are no comparison of tools: a storm of 503s, memory, syncs.

Each gives rows: name, value, unit, and where something is asked: asked, reached."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

from fetch_tools import leat, measured

BEFORE_S, STORM_S, AFTER_S = 12, 10, 30
SYNCS = "fsync,fdatasync,syncfs,sync,sync_file_range"


def row(name, value, unit, at_most=None):
    bound = {} if at_most is None else {"asked": f"<= {at_most:g}", "reached": value <= at_most}
    return {"name": name, "value": value, "unit": unit, **bound}


# ---- the storm ----

def watch(stream, seen, last):
    """Reads --json events: seen gets (time, files done) of each progress, last["summary"] the last line."""
    for line in stream:
        event = json.loads(line)
        if event["event"] == "progress":
            seen.append((time.monotonic(), event["done"]))
        elif event["event"] == "summary":
            last["summary"] = event


def rate_between(seen, begin, end):
    inside = [point for point in seen if begin <= point[0] <= end]
    if len(inside) < 2:
        return 0.0
    return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])


def second_by_second(seen, since):
    """[(seconds since, files/s)] between each progress and the next."""
    return [((t1 + t0) / 2 - since, (n1 - n0) / (t1 - t0)) for (t0, n0), (t1, n1) in zip(seen, seen[1:]) if t1 > t0]


def stormy_run(arguments, near, far, scratch, paths):
    """Gives progress points, when the storm began and ended, and the summary."""
    rounds = 40 * (BEFORE_S + STORM_S + AFTER_S) * 64 // len(paths) + 1  # more than 64 transfers of 50 ms, twice over
    urls = scratch / "storm-urls"
    urls.write_text("".join(far.url(f"storm/{turn}/{path}") + "\n" for turn in range(rounds) for path in paths), encoding="utf-8")
    to, seen, last = scratch / "storm-to", [], {}
    with subprocess.Popen([arguments.build / "cli/leat", "fetch", f"@{urls}", "--to", to, "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        reader = threading.Thread(target=watch, args=(process.stdout, seen, last))
        reader.start()
        time.sleep(BEFORE_S)
        near.raging.touch()
        begin = time.monotonic()
        time.sleep(STORM_S)
        near.raging.unlink()
        end = time.monotonic()
        time.sleep(AFTER_S)
        process.send_signal(signal.SIGINT)
        reader.join(30)
        process.wait(30)
    shutil.rmtree(to)
    if "summary" not in last:
        sys.exit(f"fetch: the stormy run ended with {process.returncode} and no summary")
    return seen, begin, end, last["summary"]


def storm(arguments, near, far, scratch, paths):
    near.on_core(1)
    seen, begin, end, summary = stormy_run(arguments, near, far, scratch, paths)
    near.on_core(None)
    before = rate_between(seen, begin - BEFORE_S + 3, begin)
    after = second_by_second([point for point in seen if point[0] >= end], end)
    back = next((when for when, rate in after if rate >= 0.9 * before), float("inf"))
    return [row("rate before the storm", before, "files/s"),
            row("during it", rate_between(seen, begin, end), "files/s"),
            row("in the last 10 s", rate_between(seen, end + AFTER_S - 10, end + AFTER_S), "files/s"),
            row("until 90% of the rate is back", back, "s", at_most=10),
            row("files that failed", summary["failed"], "files", at_most=0),
            row("requests repeated", summary["retries"], "requests")]


# ---- memory ----

def unfetched(arguments, scratch):
    """A list that comes through a pipe, of files that are not there, and nothing is done."""
    lines = ["seq", "-f", "http://127.0.0.1:9/set/shard-%09.0f.bin", str(arguments.lines)]
    with subprocess.Popen(lines, stdout=subprocess.PIPE) as seq:
        return measured([arguments.build / "cli/leat", "fetch", "@-", "--to", scratch / "nothing", "--dry-run"], stdin=seq.stdout,
                        stdout=subprocess.DEVNULL)


def make_present(folder, lines):
    """As many names of one empty file (links: they take 200 bytes of memory each), 4,096 a folder."""
    folder.mkdir()
    first = folder / "first"
    first.touch()
    for i in range(0, lines, 4096):
        (folder / f"{i // 4096:05d}").mkdir()
        for j in range(i, min(i + 4096, lines)):
            os.link(first, f"{folder}/{j // 4096:05d}/{j % 4096:04d}")
    first.unlink()


def present(arguments, scratch):
    """A manifest of files that are all there: each is looked for."""
    folder, manifest = scratch / "present", scratch / "manifest.jsonl"
    make_present(folder, arguments.lines)
    with open(manifest, "w", encoding="utf-8") as file:
        for i in range(arguments.lines):
            path = f"{i // 4096:05d}/{i % 4096:04d}"
            file.write(f'{{"url":"http://127.0.0.1:9/{path}","path":"{path}","size":0}}\n')
    result = measured([arguments.build / "cli/leat", "fetch", f"@{manifest}", "--to", folder], stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)
    return result


def memory(arguments, _near, _far, scratch, _paths):
    rows = []
    for name, way in (("a dry run", unfetched), ("all there already", present)):
        result = way(arguments, scratch)
        rows += [row(f"peak memory, {arguments.lines:,} lines, {name}", result["peak_bytes"] / 1e6, "MB", at_most=200),
                 row("time a line", result["seconds"] / arguments.lines * 1e6, "us")]
    return rows


# ---- syncs ----

def syncs(job):
    """How often the run asks the disk to be done (it is slow under strace: no figure of speed)."""
    counts = job.scratch / "syncs"
    subprocess.run(["strace", "-f", "-c", "-e", f"trace={SYNCS}", "-o", counts, *map(str, leat(job))], check=True, timeout=900,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(job.to)
    found = {}
    for line in counts.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words and words[-1] in SYNCS.split(","):
            found[words[-1]] = int(words[3])
    total = sum(found.values())
    detail = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    return [row(f"syncs for {len(job.files):,} files ({detail or 'none'})", total, "calls", at_most=len(job.files) // 16)]
