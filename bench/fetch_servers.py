"""fetch_servers.py - what bench/fetch.py fetches from: nginx, the same far away, the same out of order for a while.

    with Near(root, scratch) as near, Far(near.port, 25, proxy) as far:
        near.url("small/00000.bin"), far.url(...), near.url("storm/7/small/00000.bin")"""
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from servers import NGINX, Nginx, Server  # noqa: E402

CONFIG = """
daemon off;
master_process off;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    access_log off;
    sendfile on;
    keepalive_requests 100000000;
    open_file_cache max=10000 inactive=600s;
    open_file_cache_valid 600s;
    server {{
        listen 127.0.0.1:{plain} backlog=1024;
        root {root};
        location /storm/ {{
            open_file_cache off;
            if (-f {scratch}/raging) {{ return 503; }}
            rewrite ^/storm/[0-9]+/(.*)$ /$1 break;
        }}
    }}
}}
"""


class Near(Nginx):
    """nginx as the tests have it, but tuned not to be what is measured: no log, no look at a file's name for each request.
    /storm/ANY NUMBER/PATH is PATH, but a 503 while it rages."""

    def start(self, root, port, _):
        self.port, self.raging = port, Path(self.scratch) / "raging"
        config = Path(self.scratch) / "nginx.conf"
        config.write_text(CONFIG.format(scratch=self.scratch, root=root, plain=port), encoding="utf-8")
        self.process = subprocess.Popen([NGINX, "-p", self.scratch, "-e", f"{self.scratch}/error.log", "-c", str(config)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def on_core(self, core):
        """Binds the server to a core; None: to all."""
        os.sched_setaffinity(self.process.pid, range(os.cpu_count()) if core is None else {core})


class Far(Server):
    """bench-delayproxy before a server: each direction takes so many milliseconds."""

    def __init__(self, port, milliseconds, program, core):
        self.process = subprocess.Popen(["taskset", "-c", str(core), str(program), str(port), str(milliseconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def stop(self):
        self.process.stdin.close()
        super().stop()
