#!/usr/bin/python3
"""measure.py - runs a command and measures it, with all the processes that come from it, from outside.

    python3 measure.py --timeout S [--cpus 0,1] -- COMMAND ...

What:    prints one JSON object: wall_seconds, cpu_seconds (user + system), peak_pss_bytes, peak_private_bytes,
         processes, code, timed_out, stdout, error (the last lines of stderr).
How:     it is the subreaper of its descendants: every process that the command leaves behind, or never waits for,
         comes to it, and its CPU time is counted when it is reaped. Memory is the sum of PSS over the tree, which counts
         a page that N processes share as 1/N each; private is PSS without file pages (the page cache of a mapped data
         file is not the loader's). Reading it costs kernel time: at most every 100 ms, never more than 2% of a core.
"""
import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36


def parents():
    """{pid: parent's pid} of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    found[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                pass  # gone meanwhile
    return found


def descendants():
    tree, found = parents(), []
    level = [os.getpid()]
    while level:
        level = [pid for pid, parent in tree.items() if parent in level]
        found += level
    return found


def memory(pids):
    """(PSS, PSS without file pages) of the processes, bytes."""
    total = private = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                lines = {line.split(":")[0]: int(line.split()[1]) for line in file if line.startswith("Pss")}
        except (OSError, ValueError):
            continue
        total += lines.get("Pss", 0) * 1024
        private += (lines.get("Pss_Anon", 0) + lines.get("Pss_Shmem", 0)) * 1024
    return total, private


def reap(usage):
    """Waits for whatever has ended; False when no child is left."""
    while True:
        try:
            pid, status, spent = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        usage["cpu_seconds"] += spent.ru_utime + spent.ru_stime
        usage["codes"][pid] = os.waitstatus_to_exitcode(status)


def kill_all():
    for pid in descendants():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def watch(pid, deadline, usage):
    """Until all have ended or the deadline has passed; what still runs a second after the command's end is killed."""
    next_look, main_end = 0.0, None
    while reap(usage):
        now = time.monotonic()
        if pid in usage["codes"] and main_end is None:
            main_end = now
        if now > deadline and main_end is None:
            usage["timed_out"] = True
        if usage["timed_out"] or (main_end and now > main_end + 1):
            kill_all()
        elif now >= next_look:
            pids = descendants()
            pss, private = memory(pids)
            for key, value in (("peak_pss_bytes", pss), ("peak_private_bytes", private), ("processes", len(pids))):
                usage[key] = max(usage[key], value)
            cost = time.monotonic() - now
            next_look = now + max(0.1, 50 * cost)
        time.sleep(0.01)
    return main_end or time.monotonic()


def measure(command, seconds, cpus):
    usage = {"cpu_seconds": 0.0, "peak_pss_bytes": 0, "peak_private_bytes": 0, "processes": 0, "timed_out": False,
             "codes": {}}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        environment = {**os.environ, "LEAT_PEERS_EXEC": repr(begin)}
        pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                                 preexec_fn=pin)  # no thread in this process
        end = watch(child.pid, begin + seconds, usage)
        out.seek(0)
        err.seek(0)
        lines = err.read().decode(errors="replace").strip().splitlines()
        code = usage.pop("codes").get(child.pid, -9)
        return {**usage, "wall_seconds": end - begin, "code": code, "stdout": out.read().decode(errors="replace"),
                "error": "\n".join(lines[-5:])[-1000:]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--cpus", default="", help="such as 0,1: the command may run on these only")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    cpus = {int(cpu) for cpu in options.cpus.split(",") if cpu}
    json.dump(measure(options.command, options.timeout, cpus), sys.stdout)


if __name__ == "__main__":
    main()
