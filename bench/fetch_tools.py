"""fetch_tools.py - the tools that bench/fetch.py compares: how each is called, and one measured run of it.

What:    TOOLS: name -> a function that gives the command for a Job. run() starts it, waits, and looks whether every file is there
         with its size: a tool that lost one has no rate.
Why so:  each is called as its manual says for many files at a time; leat, curl and aria2c write files, aiohttp and the bare loop
         throw the bytes away. Of the first three the time includes the start of the process; the others count from when their
         loop begins."""
import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass
class Job:
    """What is to be fetched, to where."""
    build: Path
    scratch: Path           # for lists
    to: Path                # a directory that is not there yet
    files: list             # (URL, bytes)
    parallel: int = 64
    core: int = None        # the one core the tool may use
    large: bool = False     # aria2c: in how many pieces
    sync: bool = True       # leat: --durable

    def write_list(self, name, lines):
        path = self.scratch / name
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def name(self, url):
        return url.rpartition("/")[2]

    def urls(self):
        return self.write_list("urls", (url + "\n" for url, _ in self.files))


def leat(job):
    return [job.build / "cli/leat", "fetch", f"@{job.urls()}", "--to", job.to, "--jobs", str(job.parallel),
            "--durable" if job.sync else "--no-durable"]


def curl(job):
    lines = (f'url = "{url}"\noutput = "{job.to / job.name(url)}"\n' for url, _ in job.files)
    return ["curl", "--silent", "--show-error", "--fail", "--parallel", "--parallel-max", str(job.parallel), "--create-dirs",
            "--config", job.write_list("curl", lines)]


def aria2c(job):
    lines = (f"{url}\n  out={job.name(url)}\n" for url, _ in job.files)
    pieces = ["--split=16", "--min-split-size=1M"] if job.large else []
    return ["aria2c", "--no-conf", "--quiet", f"--max-concurrent-downloads={job.parallel}", "--max-connection-per-server=16",
            *pieces, f"--dir={job.to}", f"--input-file={job.write_list('aria2', lines)}"]


def aiohttp(job):
    return ["/usr/bin/python3", HERE / "peers/aiohttp_gather.py", job.urls(), str(job.parallel)]


def bare(job, client="--bare"):
    return [job.build / "bench/bench-http", client, "--json", "--rounds", "3", "--connections", str(job.parallel), job.urls()]


def client_alone(job):
    return bare(job, "--client")


def loose(job):
    return [job.build / "bench/bench-loose", f"@{job.urls()}", str(job.parallel), "4"]  # epochs: its start is not what is asked


TOOLS = {"leat fetch": leat, "curl -Z": curl, "aria2c": aria2c, "aiohttp, gather (memory)": aiohttp,
         "bare libcurl loop (memory)": bare, "leat's HTTP client (memory)": client_alone, "loader, bytes undecoded": loose}
IN_MEMORY = {aiohttp, bare, client_alone, loose}  # these say themselves how many files a second


def there(folder):
    """(files, bytes) below the folder, without what leat keeps of them."""
    count = size = 0
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".leat"]
        count += len(names)
        size += sum(os.stat(os.path.join(root, name)).st_size for name in names)
    return count, size


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(command, core=None, timeout=900, **options):
    """Runs a command: seconds, cpu_seconds, peak_bytes, stdout."""
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    options = {"stdout": subprocess.PIPE, **options}
    before, begin = children_cpu(), time.perf_counter()
    with subprocess.Popen(["/usr/bin/time", "-q", "-f", "%M", *pinned, *map(str, command)], stderr=subprocess.PIPE, text=True,
                          start_new_session=True, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            sys.exit(f"fetch: {command[0]} took more than {timeout} s")
        seconds = time.perf_counter() - begin
    if process.returncode:
        sys.exit(f"fetch: {' '.join(map(str, command))} ended with {process.returncode}: {err[-2000:]}")
    return {"seconds": seconds, "cpu_seconds": children_cpu() - before, "peak_bytes": int(err.split()[-1]) * 1024, "stdout": out}


def run(name, job):
    """One run of a tool: as measured(), and files and bytes a second. What it fetched is deleted."""
    tool = TOOLS[name]
    shutil.rmtree(job.to, ignore_errors=True)  # of a run that was broken off
    result = measured(tool(job), job.core)
    if tool in IN_MEMORY:
        rate = json.loads(result["stdout"].splitlines()[-1])["per_second"]
    else:
        wanted = len(job.files), sum(size for _, size in job.files)
        if there(job.to) != wanted:
            sys.exit(f"fetch: {name} left {there(job.to)} files and bytes, not {wanted}")
        rate = len(job.files) / result["seconds"]
        shutil.rmtree(job.to)
    result["files_per_second"] = rate
    result["bytes_per_second"] = rate * sum(size for _, size in job.files) / len(job.files)
    return result
