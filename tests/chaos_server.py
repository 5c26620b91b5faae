#!/usr/bin/env python3
"""An HTTP server that misbehaves on request: one behaviour per URL path.

    chaos_server.py [--plain N] [--tls CERT KEY]...

listens on N ports of 127.0.0.1 (default 1) and one for each --tls, prints "plain P1 P2 ... tls P ..." and serves until stdin ends.

    GET /BEHAVIOUR/anything?size=100000&at=500&times=2

The first part of the path names a behaviour (the functions below), the whole path is what requests are counted by; `times`: only the
first so many requests of a path misbehave, later ones are served well (default: all misbehave); `after`: not before so many have been
served well. Parameters of every path:
    size      of the object, bytes; its byte i is pattern(i), see below
    dir       the object is the file of this folder that has the name of the path's last part, if there is one, instead
    etag      strong (default), weak, none, change (a new one for each request)
    modified  1 (default) or 0: Last-Modified
    changes   after so many requests another object is there: each bit, ETag and Last-Modified differ; the size is `new_size`
    frame     length (default), chunked, close
    range     yes (default), no (a range request gets 200 and all)
    at        where in the response's body the fault happens
Looking back:
    /__log?path=P      requests of paths that begin with P (default: all) as JSON: path, n, port, connection, seconds, headers, sent
    /__count?path=P    how many requests P got           /__connections?path=P   over how many connections
    /__gap?path=P      seconds between its first two     /__header?path=P&name=N   the values of a header, a line each
    /__forget          all of that
    /__files/NAME?dir=D  a file of a directory, as a good server would send it
"""
import argparse
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
from email.utils import formatdate
from urllib.parse import parse_qsl, unquote, urlsplit

PAGE = bytes(((i * 2654435761 & 0xFFFFFFFF) >> 24) for i in range(65536))
XOR = [bytes(b ^ k for b in range(256)) for k in range(256)]
MODIFIED = "Tue, 01 Jul 2025 10:00:00 GMT"
MODIFIED_LATER = "Wed, 02 Jul 2025 10:00:00 GMT"


def pattern(first, end):
    """Bytes [first, end) of every object: byte i is (((i & 0xffff) * 2654435761 mod 2^32) >> 24) ^ (i >> 16 & 0xff)."""
    pages = range(first >> 16, (end + 65535) >> 16)
    data = b"".join(PAGE.translate(XOR[page & 255]) for page in pages)
    skip = first - (first >> 16 << 16)
    return data[skip:skip + end - first]


def load(request):
    """The bytes of the file that the object is, None if it is a pattern."""
    path = os.path.join(request.query.get("dir", ""), os.path.basename(request.path))
    if "dir" not in request.query or not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read()


class Hangup(Exception):
    """Ends the connection."""


class Log:
    def __init__(self):
        self.lock, self.entries, self.running, self.counts = threading.Lock(), [], {}, {}

    def add(self, request):
        with self.lock:
            request.n = self.counts[request.path] = self.counts.get(request.path, 0) + 1
            request.entry = {"path": request.path, "n": request.n, "port": request.port, "connection": request.connection,
                             "seconds": time.monotonic(), "headers": request.headers, "sent": 0}
            self.entries.append(request.entry)
            self.running[request.path] = self.running.get(request.path, 0) + 1

    def done(self, request):
        with self.lock:
            self.running[request.path] -= 1

    def forget(self):
        with self.lock:
            self.entries.clear()
            self.counts.clear()

    def of(self, path):
        with self.lock:
            return [entry for entry in self.entries if entry["path"] == path]

    def below(self, path):
        with self.lock:
            return [dict(entry) for entry in self.entries if entry["path"].startswith(path)]


LOG = Log()


class Request:
    def __init__(self, sock, port, connection, head):
        self.sock, self.port, self.connection = sock, port, connection
        lines = head.decode("latin-1").split("\r\n")
        self.target = lines[0].split(" ")[1]
        split = urlsplit(self.target)
        self.path, self.query = unquote(split.path), dict(parse_qsl(split.query, keep_blank_values=True))
        self.behaviour = self.path.split("/")[1]
        self.headers = dict((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line))
        self.n, self.entry = 0, {"sent": 0}

    def number(self, name, default):
        return int(self.query.get(name, default))

    @property
    def bad(self):
        after = self.number("after", 0)
        return after < self.n <= after + self.number("times", 1 << 30)

    def send(self, data):
        try:
            self.sock.sendall(data)
            self.entry["sent"] += len(data)
        except OSError as error:
            raise Hangup from error

    def reset(self):
        """Ends the connection with RST."""
        plain = self.sock
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup

    def wait(self, seconds=60):
        """Sends nothing until the client hangs up."""
        select.select([self.sock], [], [], seconds)
        raise Hangup

    def text(self, text, status="200 OK", extra=""):
        body = text.encode()
        self.send(f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Answer:
    """A good answer to a request, whose parts behaviours change before it is sent."""

    def __init__(self, request):
        self.request = request
        query = request.query
        self.data = load(request)
        size = request.number("size", 100000) if self.data is None else len(self.data)
        self.changed = request.n > request.number("changes", 1 << 30)
        if self.changed:
            size = request.number("new_size", size)
        self.first, self.end, self.total, self.open = 0, size, size, True
        self.status, self.extra = "200 OK", {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        etag = query.get("etag", "strong")
        version = request.n if etag == "change" else 2 if self.changed else 1
        self.etag = {"weak": f'W/"v{version}"', "none": None}.get(etag, f'"v{version}"')
        self.modified = None
        if query.get("modified", "1") == "1":
            self.modified = MODIFIED_LATER if self.changed else MODIFIED
        self.frame = query.get("frame", "length")
        wanted = request.headers.get("range", "")
        if wanted.startswith("bytes=") and query.get("range", "yes") == "yes":
            first, _, last = wanted[6:].partition("-")
            self.first, self.open = int(first), not last
            self.end = size if self.open else min(size, int(last) + 1)
            self.status = "206 Partial Content"
            self.content_range = f"bytes {self.first}-{self.end - 1}/{self.total}"
            if self.refuses(request.headers) and query.get("precondition", "1") == "1":
                self.status, self.content_range, self.first, self.end = "412 Precondition Failed", None, 0, 0
            elif self.first >= size:
                self.status, self.content_range, self.first, self.end = "416 Range Not Satisfiable", f"bytes */{size}", 0, 0
        else:
            self.content_range = None
        self.length = self.end - self.first

    def refuses(self, headers):
        """Whether a condition is not met."""
        if "if-match" in headers:
            return headers["if-match"] != self.etag
        return "if-unmodified-since" in headers and headers["if-unmodified-since"] != self.modified

    def head(self):
        fields = dict(self.extra)
        if self.etag:
            fields["ETag"] = self.etag
        if self.modified:
            fields["Last-Modified"] = self.modified
        if self.content_range:
            fields["Content-Range"] = self.content_range
        if self.frame == "length":
            fields["Content-Length"] = self.length
        elif self.frame == "chunked":
            fields["Transfer-Encoding"] = "chunked"
        else:
            fields["Connection"] = "close"
        return (f"HTTP/1.1 {self.status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n").encode()

    def body(self, end=None):
        """The body's bytes, up to byte `end` of it."""
        end = self.end if end is None else min(self.end, self.first + end)
        for at in range(self.first, end, 65536):
            last = min(end, at + 65536)
            data = pattern(at, last) if self.data is None else self.data[at:last]
            yield data.translate(XOR[255]) if self.changed else data

    def framed(self, data):
        return b"%x\r\n%b\r\n" % (len(data), data) if self.frame == "chunked" else data

    def send(self, end=None, finish=True):
        self.request.send(self.head())
        for data in self.body(end):
            self.request.send(self.framed(data))
        if finish and self.frame == "chunked":
            self.request.send(b"0\r\n\r\n")
        if self.frame == "close":
            raise Hangup


# ---- behaviours: each gets the request, and a good answer to it ----

def ok(request, answer):
    answer.send()


def reset(request, answer):
    """RST after `at` body bytes; at=-1: in the middle of the header; at=-2: before it."""
    at = request.number("at", 0)
    if at >= 0:
        answer.send(at, finish=False)
        time.sleep(0.02)  # an RST would overtake what the client has not read yet
    elif at == -1:
        request.send(answer.head()[:40])
        time.sleep(0.02)
    request.reset()


def cut(request, answer):
    """FIN after `at` body bytes (chunked: without the last chunk)."""
    answer.send(request.number("at", 0), finish=False)
    raise Hangup


def late(request, answer):
    """The first request is cut at `at`, the next ones are answered after half a second."""
    if request.n == 1:
        cut(request, answer)
    time.sleep(0.5)
    answer.send()


def stall(request, answer):
    """Silence after `at` body bytes; at=-1: before the header."""
    if request.number("at", 0) >= 0:
        answer.send(request.number("at", 0), finish=False)
    request.wait()


def trickle(request, answer):
    """A byte each 50 ms after `at` body bytes."""
    at = request.number("at", 0)
    answer.send(at, finish=False)
    for data in answer.body():
        for byte in data[at:]:
            request.send(answer.framed(bytes([byte])))
            time.sleep(0.05)


def slow_header(request, answer):
    """A header byte each 20 ms."""
    for byte in answer.head():
        request.send(bytes([byte]))
        time.sleep(0.02)


def pieces(request, answer):
    """`at` bytes at a time with a pause of 30 ms between them."""
    request.send(answer.head())
    for data in answer.body():
        for i in range(0, len(data), request.number("at", 1000)):
            request.send(data[i:i + request.number("at", 1000)])
            time.sleep(0.03)


def status(request, answer):
    """An error `code` with a body; retry_after, reason, type, text."""
    extra = f"Retry-After: {request.query['retry_after']}\r\n" if "retry_after" in request.query else ""
    if request.query.get("retry_after") == "past":
        extra = "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
    if request.query.get("retry_after") == "soon":
        extra = f"Retry-After: {formatdate(time.time() + 2, usegmt=True)}\r\n"
    request.text(request.query.get("text", "no luck"), f"{request.query.get('code', 500)} {request.query.get('reason', 'Bad Luck')}", extra)


def throttle(request, answer):
    """429 while more than `most` requests run; takes 20 ms."""
    with LOG.lock:
        running = LOG.running[request.path]
    time.sleep(0.02)
    if running > request.number("most", 2):
        request.text("slow down", "429 Too Many Requests")
    else:
        answer.send()


def redirect(request, answer):
    """To `to` ("self": here), with `code`; hops=N: N times to itself first."""
    to = request.query.get("to", "/ok/target")
    if to == "self":
        to = request.target
    hops = request.number("hops", 0)
    if hops:
        to = f"{request.path}x?hops={hops - 1}&to={to}"
    request.text("elsewhere", f"{request.query.get('code', 302)} Elsewhere", f"Location: {to}\r\n")


def no_location(request, answer):
    request.text("elsewhere", "302 Elsewhere")


def many_headers(request, answer):
    """`at` bytes of header fields, each of `each` (1000); single=1: in one field."""
    size, each = request.number("at", 400000), request.number("each", 1000)
    request.send(b"HTTP/1.1 200 OK\r\n")
    if "single" in request.query:
        request.send(b"X-A: " + b"a" * size + b"\r\n")
    else:
        for _ in range(size // each):
            request.send(b"X-A: " + b"a" * (each - 7) + b"\r\n")
    request.send(b"Content-Length: 0\r\n\r\n")


def interim(request, answer):
    """1xx answers; at=N: so many, then a good one; without: for ever."""
    for _ in range(request.number("at", 1 << 30)):
        request.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    answer.send()


def garbage(request, answer):
    """`text` (default: no status line of any protocol), and the end of the connection."""
    request.send(request.query.get("text", "GARBAGE 200 of no known protocol\r\n\r\nhello").encode())
    raise Hangup


def endless(request, answer):
    """A body without end, chunked or till the connection ends (frame)."""
    request.send(answer.head())
    while True:
        request.send(answer.framed(PAGE))


def portal(request, answer):
    """A page for a browser instead of the object, as hotels do; `pad`: so many bytes of it."""
    page = b"<!DOCTYPE html><html><body>Please log in to the network.</body></html>".ljust(request.number("pad", 0))
    request.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(page) + page)


def alert(request, answer):
    """A fatal TLS alert after `at` body bytes: the server's TLS is given a record that it cannot decrypt, and complains."""
    answer.send(request.number("at", 0), finish=False)
    sock = request.sock
    wire = socket.socket(fileno=os.dup(sock.fileno()))
    ours, theirs = socket.socketpair()
    os.dup2(theirs.fileno(), sock.fileno())
    ours.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
    try:
        sock.recv(1)
    except ssl.SSLError:
        wire.sendall(ours.recv(4096))
    wire.close()
    raise Hangup


def bad_chunk(request, answer):
    """A chunk of size `chunk`, after `at` good bytes."""
    answer.frame = "chunked"
    answer.send(request.number("at", 1000), finish=False)
    request.send(request.query.get("chunk", "zz").encode() + b"\r\nhello\r\n0\r\n\r\n")
    raise Hangup


def lengths(request, answer):
    """Headers that contradict themselves: kind = two, same, both, list, negative, huge, short, long."""
    kind, size = request.query.get("kind"), answer.length
    if kind in ("short", "long"):
        answer.length += 500 if kind == "long" else -500
        request.send(answer.head())
        for data in answer.body():
            request.send(data)
        raise Hangup
    fields = {"two": f"Content-Length: {size}\r\nContent-Length: {size + 1}\r\n",
              "same": f"Content-Length: {size}\r\nContent-Length: {size}\r\n",
              "both": f"Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n",
              "list": f"Content-Length: {size}, {size}\r\n",
              "negative": "Content-Length: -1\r\n", "huge": "Content-Length: 99999999999999999999\r\n"}[kind]
    request.send(b"HTTP/1.1 200 OK\r\n" + fields.encode() + b"\r\n")
    answer.frame = "chunked" if kind == "both" else "length"
    for data in answer.body():
        request.send(answer.framed(data))
    raise Hangup


def bad_range(request, answer):
    """The first request, if it is for all, is cut at `at`; the range answer is wrong: kind = start, before, end, beyond, total,
    missing, multipart, oversize, star, short."""
    if answer.status.startswith("200"):
        return cut(request, answer)
    if answer.status.startswith("416"):
        return answer.send()
    kind, first, end, total = request.query.get("kind"), answer.first, answer.end, answer.total
    if kind == "start":
        answer.content_range = f"bytes {first + 1}-{end - 1}/{total}"
        answer.first, answer.length = first + 1, answer.length - 1
    elif kind == "before":
        answer.first, answer.length = first - 5, answer.length + 5
        answer.content_range = f"bytes {first - 5}-{end - 1}/{total}"
    elif kind == "beyond":
        answer.end, answer.length = end + 5, answer.length + 5
        answer.content_range = f"bytes {first}-{end + 4}/{total}"
    elif kind == "end":
        answer.content_range = f"bytes {first}-{total + 5}/{total}"
    elif kind == "total":
        answer.content_range = f"bytes {first}-{end - 1}/{total + 1}"
    elif kind == "missing":
        answer.content_range = None
    elif kind == "multipart":
        answer.content_range = None
        answer.extra["Content-Type"] = "multipart/byteranges; boundary=x"
    elif kind == "oversize":
        answer.frame, answer.end = "chunked", end + 10
    elif kind == "star":
        answer.content_range = f"bytes {first}-{end - 1}/*"
    elif kind == "short":
        answer.end = min(end, first + request.number("step", 1000))
        answer.length = answer.end - first
        answer.content_range = f"bytes {first}-{answer.end - 1}/{total}"
    return answer.send()


def grow(request, answer):
    """Cut at `at`; the object has 7 bytes more at the next request."""
    grown = 7 * (request.n - 1)
    answer.total += grown
    if answer.open:
        answer.end, answer.length = answer.end + grown, answer.length + grown
    if answer.content_range:
        answer.content_range = f"bytes {answer.first}-{answer.end - 1}/{answer.total}"
    if request.n == 1:
        cut(request, answer)
    answer.send()


def encoding(request, answer):
    answer.extra["Content-Encoding"] = request.query.get("name", "gzip")
    answer.send()


def close_idle(request, answer):
    """Closes the connection after the answer without saying so."""
    answer.send()
    raise Hangup


BEHAVIOURS = {f.__name__: f for f in (
    ok, reset, cut, late, stall, trickle, slow_header, pieces, status, throttle, redirect, no_location, many_headers, interim,
    garbage, endless, portal, alert, bad_chunk, lengths, bad_range, grow, encoding, close_idle)}


def look_back(request):
    path = request.query.get("path", "")
    entries = LOG.of(path)
    if request.path == "/__log":
        return json.dumps(LOG.below(path))
    if request.path == "/__forget":
        LOG.forget()
    if request.path == "/__count":
        return str(len(entries))
    if request.path == "/__connections":
        return str(len({entry["connection"] for entry in entries}))
    if request.path == "/__gap":
        return f"{entries[1]['seconds'] - entries[0]['seconds']:.3f}" if len(entries) > 1 else "-1"
    if request.path == "/__header":
        return "".join(entry["headers"].get(request.query["name"].lower(), "-") + "\n" for entry in entries)
    return "?"


def send_file(request):
    path = os.path.join(request.query["dir"], os.path.basename(request.path))
    with open(path, "rb") as file:
        data = file.read()
    request.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


def answer_one(request):
    if request.path.startswith("/__files/"):
        send_file(request)
        return
    if request.path.startswith("/__"):
        request.text(look_back(request))
        return
    LOG.add(request)
    try:
        behaviour = BEHAVIOURS.get(request.behaviour)
        if not behaviour:
            request.text("no such behaviour", "404 Not Found")
        else:
            (behaviour if request.bad else ok)(request, Answer(request))
    finally:
        LOG.done(request)


def serve(sock, port, connection, context):
    sock.settimeout(60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        pending = b""
        while True:
            while b"\r\n\r\n" not in pending:
                data = sock.recv(65536)
                if not data:
                    return
                pending += data
            head, _, pending = pending.partition(b"\r\n\r\n")
            answer_one(Request(sock, port, connection, head))
    except (Hangup, OSError):
        pass
    finally:
        sock.close()


CONNECTIONS = iter(range(1, 1 << 60))


def listen(context):
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listener.getsockname()[1]

    def accept():
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, port, next(CONNECTIONS), context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return port


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", type=int, default=1)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), action="append", default=[])
    options = parser.parse_args()
    words = ["plain"] + [str(listen(None)) for _ in range(options.plain)]
    for number, certificate in enumerate(options.tls):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        words += ["tls"] * (number == 0) + [str(listen(context))]
    print(*words, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
