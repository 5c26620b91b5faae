"""Servers for the end-to-end tests: a real nginx and tests/chaos_server.py, on ports of 127.0.0.1 that the kernel picked.

    with Nginx(root, scratch) as nginx, Chaos() as chaos:
        nginx.url('shards/train-{000000..000015}.tar'), nginx.url('x.tar', tls=True), nginx.ca ...

nginx serves `root` at /, the same at /slow/ with 64 KiB/s a connection. Its log says what was asked for, over which connection."""
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

NGINX = shutil.which('nginx') or '/usr/sbin/nginx'
CHAOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'chaos_server.py')

CONFIG = """
daemon off;
master_process off;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    log_format plain '$connection $status $body_bytes_sent $request_uri';
    access_log {scratch}/access.log plain;
    sendfile on;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {scratch}/server.pem;
        ssl_certificate_key {scratch}/server.key;
        root {root};
        location /slow/ {{ alias {root}/; limit_rate 64k; }}
    }}
}}
"""


def openssl(*arguments):
    subprocess.run(['openssl', *arguments], check=True, capture_output=True, timeout=30)


def make_authority(folder, name):
    """A CA: folder/NAME.pem and .key. Returns the certificate's path."""
    path = os.path.join(folder, name)
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
            '-subj', f'/CN={name}', '-keyout', path + '.key', '-out', path + '.pem')
    return path + '.pem'


def make_certificate(folder, name, authority, subject, days=2):
    """folder/NAME.pem and .key, signed by the authority; subject: as in "IP:127.0.0.1"; days: -1 is expired."""
    path, ca = os.path.join(folder, name), os.path.splitext(authority)[0]
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', f'/CN={name}',
            '-keyout', path + '.key', '-out', path + '.csr')
    with open(path + '.ext', 'w', encoding='ascii') as file:
        file.write(f'subjectAltName = {subject}\n')
    openssl('x509', '-req', '-in', path + '.csr', '-CA', authority, '-CAkey', ca + '.key', '-CAcreateserial', '-days', str(days),
            '-extfile', path + '.ext', '-out', path + '.pem')
    return path + '.pem', path + '.key'


def free_ports():
    with socket.create_server(('127.0.0.1', 0)) as one, socket.create_server(('127.0.0.1', 0)) as another:
        return one.getsockname()[1], another.getsockname()[1]


class Server:
    """A process that ends with the `with` block."""
    process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait(10)


class Nginx(Server):
    def __init__(self, root, scratch):
        self.scratch = scratch
        self.ca = make_authority(scratch, 'authority')
        make_certificate(scratch, 'server', self.ca, 'IP:127.0.0.1')
        for _ in range(5):  # a free port may be taken by somebody else before nginx has it
            self.start(root, *free_ports())
            if self.answers():
                return
            self.stop()
        with open(os.path.join(scratch, 'error.log'), encoding='utf-8') as file:
            raise RuntimeError('nginx did not start: ' + file.read())

    def start(self, root, port, tls_port):
        self.port, self.tls_port = port, tls_port
        config = os.path.join(self.scratch, 'nginx.conf')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(CONFIG.format(scratch=self.scratch, root=root, plain=port, tls=tls_port))
        self.process = subprocess.Popen([NGINX, '-p', self.scratch, '-e', os.path.join(self.scratch, 'error.log'), '-c', config],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(self):
        for _ in range(100):
            if self.process.poll() is not None:
                return False
            try:
                with socket.create_connection(('127.0.0.1', self.port), timeout=1) as sock:
                    sock.sendall(b'HEAD / HTTP/1.0\r\n\r\n')
                    if sock.recv(100):
                        return True
            except OSError:
                time.sleep(0.05)
        return False

    def url(self, path, tls=False):
        return f'https://127.0.0.1:{self.tls_port}/{path}' if tls else f'http://127.0.0.1:{self.port}/{path}'

    def log(self):
        """Requests since the last call: (connection, status, bytes sent, path)."""
        with open(os.path.join(self.scratch, 'access.log'), 'r+', encoding='utf-8') as file:
            lines = [line.split() for line in file]
            file.truncate(0)
        return [(connection, int(status), int(sent), path) for connection, status, sent, path in lines]


class Chaos(Server):
    """chaos_server.py; its behaviours are told in its own words. `folder`: whose files it serves under their names; `plain`: on so
    many ports; `certificates`: (certificate, key) of each TLS port."""

    def __init__(self, folder, plain=1, certificates=()):
        self.folder = folder
        options = ['--plain', str(plain)] + [word for pair in certificates for word in ('--tls', *pair)]
        self.process = subprocess.Popen([sys.executable, CHAOS, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        self.ports = [int(word) for word in words[1:1 + plain]]
        self.tls_ports = [int(word) for word in words[2 + plain:]]
        self.port = self.ports[0]

    def url(self, behaviour, name, **query):
        query['dir'] = self.folder
        words = '&'.join(f'{key}={value}' for key, value in query.items())
        return f'http://127.0.0.1:{self.port}/{behaviour}/{name}?{words}'

    def ask(self, path):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.port}{path}', timeout=10) as answer:
            return answer.read().decode()

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.stdout.close()
        super().stop()
