"""What strangers cost `rookery serve`: large bodies, half requests, long lines, clients who leave.

A server with a small real model runs as a process of its own, and everything reaches it over a
socket. Measured are the memory and the CPU seconds of that process, and how long it takes to say
that it is alive meanwhile.

    python benchmarks/bench_doors.py [HOME]

HOME: a home that a demo made (`rookery demo --no-serve`); one is made where it is missing.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlsplit

from process import ROOKERY, progress
from record import table, write_result

SCALE = "0.002"
BODY_BYTES = 200_000_000
HALF_REQUESTS, QUEUED, ABORTS = 400, 200, 120
TOKENS = 128
PROBES, PROBE_SECONDS = 40, 0.1
FILTERS = 2_000
IDLE_SECONDS = 1.0
"""How long the server must do nothing before it counts as done."""


@dataclass(frozen=True)
class Server:
    """A running server: its address, its process, and the name of its model."""

    host: str
    port: int
    pid: int
    model: str

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that the process has spent."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self, name: str) -> int:
        """Return a figure of the process's memory: VmRSS, or VmHWM for the most since a reset."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise ValueError(name)

    def reset_peak(self) -> int:
        """Forget the peak of the memory, and return what is held now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.memory_bytes("VmRSS")

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection((self.host, self.port), timeout=300)

    def get(self, path: str) -> tuple[int, float]:
        """Return the status of a page, and the seconds until it was read."""
        started = time.monotonic()
        connection = HTTPConnection(self.host, self.port, timeout=300)
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, time.monotonic() - started

    def settle(self) -> float:
        """Wait until the process does nothing any more, and return its CPU seconds."""
        spent = self.cpu_seconds()
        while True:
            time.sleep(IDLE_SECONDS)
            before, spent = spent, self.cpu_seconds()
            if spent - before < 0.05:
                return spent


@contextmanager
def served(home: Path) -> Iterator[Server]:
    """Serve a home, and yield the server."""
    command = [*ROOKERY, "serve", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        where = urlsplit(process.stdout.readline().split()[1])
        connection = HTTPConnection(where.hostname, where.port)
        connection.request("GET", "/healthz")
        model = json.loads(connection.getresponse().read())["model"]
        connection.close()
        yield Server(where.hostname, where.port, process.pid, model)
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Measure everything in one run, and write the page of results."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "home"
        if not home.exists():
            progress("making a home with a small model")
            demo = [*ROOKERY, "demo", "--no-serve", "--scale", SCALE, "--home", str(home), "--json"]
            subprocess.run(demo, stdout=subprocess.DEVNULL, check=True)
        with served(home) as server:
            rows = [*bodies(server), *half_requests(server), *alive(server), *aborts(server)]
            rows += long_query(server)
    body = table(["what", "measured", "bar"], rows)
    print(write_result("doors", TITLE, ["fastapi", "starlette", "uvicorn", "h11", "torch"], body))
    print(body)


TITLE = "What strangers cost the server"
Rows = list[tuple[str, str, str]]


def bodies(server: Server) -> Rows:
    """Send a body of 200 MB, once with its length and once in chunks."""
    progress("sending large bodies")
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    part = b"x" * 1_000_000
    sized = [f"{head}Content-Length: {BODY_BYTES}\r\n\r\n".encode()] + [part] * 200
    chunk = b"f4240\r\n" + part + b"\r\n"
    chunked = [f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * 200, b"0\r\n\r\n"]
    server.get("/?q=warm")
    rows = []
    for name, parts in (("with its length", sized), ("in chunks", chunked)):
        before, spent = server.reset_peak(), server.cpu_seconds()
        started = time.monotonic()
        with server.connect() as opened, ThreadPoolExecutor(1) as pool:
            sent = pool.submit(
                lambda parts=parts, opened=opened: [opened.sendall(p) for p in parts]
            )
            answer = HTTPResponse(opened)
            answer.begin()
            answered = time.monotonic() - started
            answer.read()
            sent.result()
        assert answer.status == 413, answer.status
        more = (server.memory_bytes("VmHWM") - before) / 1e6
        spent = server.settle() - spent
        what = f"A body of 200 MB {name}"
        rows.append((f"{what}: more memory", f"{more:.1f} MB", "50 MB"))
        rows.append((f"{what}: until 413", f"{answered:.3f} s", ""))
        rows.append((f"{what}: CPU", f"{spent:.2f} s", ""))
    return rows


def half_requests(server: Server) -> Rows:
    """Open many connections that send half a head, and wait until the server closes them."""
    progress("sending half requests")
    before, started = server.reset_peak(), time.monotonic()
    opened = [server.connect() for _ in range(HALF_REQUESTS)]
    for one in opened:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    alive_seconds = server.get("/healthz")[1]
    for one in opened:
        assert one.recv(1) == b""
        one.close()
    seconds = time.monotonic() - started
    more = (server.memory_bytes("VmHWM") - before) / 1e6
    what = f"{HALF_REQUESTS} half-sent requests"
    return [
        (f"{what}: until the last is closed", f"{seconds:.1f} s", ""),
        (f"{what}: more memory", f"{more:.1f} MB", ""),
        (f"{what}: alive meanwhile", f"{alive_seconds:.3f} s", ""),
    ]


def alive(server: Server) -> Rows:
    """Queue many requests, and ask meanwhile whether the server is alive."""
    rows: Rows = []
    for name, request in (("texts", completion), ("searches", search)):
        progress(f"queueing {name}")
        waiting = [send(server, request(server.model, n)) for n in range(QUEUED)]
        seconds = []
        for _ in range(PROBES):
            status, taken = server.get("/healthz")
            assert status == 200
            seconds.append(taken)
            time.sleep(PROBE_SECONDS)
        for one in waiting:
            one.close()
        server.settle()
        what = f"Alive with {QUEUED} {name} queued"
        rows.append((f"{what}: median of {PROBES}", f"{statistics.median(seconds):.3f} s", ""))
        rows.append((f"{what}: the slowest", f"{max(seconds):.3f} s", "1 s"))
    return rows


def aborts(server: Server) -> Rows:
    """Compare the CPU seconds after many clients have left with those of answers to all of them."""
    rows: Rows = []
    for name, request in (("texts", completion), ("searches", search)):
        progress(f"answering {name}")
        before = server.settle()
        waiting = [send(server, request(server.model, n)) for n in range(ABORTS)]
        for one in waiting:
            answer = HTTPResponse(one)
            answer.begin()
            assert answer.status == 200
            answer.read()
            one.close()
        whole = server.settle() - before
        progress(f"leaving {name}")
        waiting = [send(server, request(server.model, n)) for n in range(ABORTS)]
        before = server.cpu_seconds()
        for one in waiting:
            one.close()
        after = server.settle() - before
        what = f"{ABORTS} {name}"
        rows.append((f"{what} answered: CPU", f"{whole:.1f} s", ""))
        rows.append((f"{what} whose clients left: CPU from then on", f"{after:.2f} s", ""))
        rows.append((f"{what}: still spent", f"{after / whole:.1%}", "10%"))
    return rows


def long_query(server: Server) -> Rows:
    """Search with thousands of filters."""
    progress("sending a long query")
    days = " ".join(f"since:2020-01-{1 + n % 28:02}" for n in range(FILTERS))
    status, seconds = server.get(f"/?q={quote(days, safe=':')}")
    assert status == 200, status
    return [(f"A query of {FILTERS:,} filters", f"{seconds:.2f} s", "")]


def completion(model: str, number: int) -> bytes:
    """Return a request for a text; each has another seed."""
    asked = {"model": model, "prompt": "the rooks", "max_tokens": TOKENS, "seed": number}
    body = json.dumps(asked).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode() + body


def search(model: str, number: int) -> bytes:
    """Return a request for a page of results."""
    words = quote(f"when does the regatta start {number}")
    return f"GET /?q={words} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def send(server: Server, request: bytes) -> socket.socket:
    """Send a request, and return its connection."""
    opened = server.connect()
    opened.sendall(request)
    return opened


if __name__ == "__main__":
    main()
