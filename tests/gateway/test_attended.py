"""Bodies in bounds, and requests that end when their clients leave, over a real socket."""

import dataclasses
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx2
import pytest

from rookery.core.context import SystemClock
from rookery.core.protocols import SeededGenerator, TextChunk
from rookery.gateway.api.line import AT_ONCE
from rookery.gateway.app import THREADS, create_app
from rookery.gateway.attended import MAX_BODY_BYTES
from rookery.gateway.parts import Parts
from rookery.search.search import Results

ASKED = {"model": "untrained", "prompt": "rooks and crows"}


class Endless(SeededGenerator):
    """A generator that counts its steps and how often it was begun, and ends when it is told to."""

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "steps", [])
        object.__setattr__(self, "begun", [])
        object.__setattr__(self, "ended", threading.Event())

    def generate(self, prompt, options):
        self.begun.append(prompt)
        while not self.ended.wait(0.005):
            self.steps.append(prompt)
            yield TextChunk(" rook")
        yield TextChunk(".", 1, "stop")


@pytest.fixture
def endless():
    generator = Endless()
    yield generator
    generator.ended.set()


@pytest.fixture
def address(endless, served):
    parts = Parts(None, None, None, None, None, None, generator=endless)
    with served(create_app(parts, SystemClock())) as found:
        yield found
        endless.ended.set()


def sent(address: str, *parts: bytes) -> socket.socket:
    """Return a socket to the server to which the parts were sent."""
    where = urlsplit(address)
    opened = socket.create_connection((where.hostname, where.port), timeout=20)
    for part in parts:
        opened.sendall(part)
    return opened


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def asking(prompt: str, **more) -> bytes:
    body = httpx2.Request("POST", "http://x", json=ASKED | {"prompt": prompt} | more).read()
    return head(
        "/v1/completions", "Content-Type: application/json", f"Content-Length: {len(body)}"
    ) + body  # fmt: skip


def wait_until(condition) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/v1/completions", "POST"), ("/nothing", "POST"), ("/?q=x", "GET"), ("/healthz", "GET")],
)
def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(address, path, method):
    with sent(address, head(path, "Content-Length: 200000000", method=method)) as opened:
        answer = http.client.HTTPResponse(opened)
        answer.begin()
        assert answer.status == 413
        assert f"{MAX_BODY_BYTES:,}".encode() in answer.read()
        assert answer.headers["x-request-id"]


def test_a_body_in_chunks_is_refused_as_soon_as_it_is_too_large(address):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    start = head("/v1/completions", "Transfer-Encoding: chunked", "Content-Type: application/json")
    with sent(address, start, *[chunk] * (MAX_BODY_BYTES // 0x10000 + 1)) as opened:
        answer = http.client.HTTPResponse(opened)
        answer.begin()
        assert answer.status == 413
        assert b'"type":"invalid_request_error"' in answer.read()


def test_a_client_that_sends_all_of_a_large_body_reads_the_refusal(address):
    body = (b"x" * 0x10000 for _ in range(1600))  # 100 MB
    assert httpx2.post(f"{address}v1/completions", content=body, timeout=60).status_code == 413


def test_the_largest_body_that_is_allowed_is_read(address):
    start, end = b'{"model": "', b'", "prompt": "x"}'
    body = start + b"m" * (MAX_BODY_BYTES - len(start) - len(end)) + end
    headers = {"content-type": "application/json"}
    response = httpx2.post(f"{address}v1/completions", content=body, headers=headers)
    assert response.status_code == 404  # there is no such model


@pytest.mark.parametrize("stream", [True, False])
def test_a_text_is_written_no_further_when_its_client_has_left(address, endless, stream):
    opened = sent(address, asking("rooks", stream=stream))
    wait_until(lambda: len(endless.steps) > 3)
    opened.close()
    time.sleep(0.2)
    steps = len(endless.steps)
    time.sleep(0.2)
    assert len(endless.steps) == steps


def test_who_waits_in_line_and_leaves_is_never_begun_and_the_next_one_is(address, endless):
    first = [sent(address, asking(f"first{n}")) for n in range(AT_ONCE)]
    wait_until(lambda: len(endless.begun) == AT_ONCE)
    waiting = [sent(address, asking(f"waiting{n}")) for n in range(30)]
    last = sent(address, asking("last"))
    for opened in waiting:
        opened.close()
    time.sleep(0.2)
    for opened in first:
        opened.close()
    wait_until(lambda: len(endless.begun) == AT_ONCE + 1)
    assert sorted(endless.begun) == sorted([*(f"first{n}" for n in range(AT_ONCE)), "last"])
    last.close()


def test_the_server_says_that_it_is_alive_while_hundreds_wait(address, endless):
    waiting = [sent(address, asking(f"waiting{n}")) for n in range(200)]
    wait_until(lambda: len(endless.begun) == AT_ONCE)
    started = time.monotonic()
    assert httpx2.get(f"{address}healthz").json()["status"] == "ok"
    assert httpx2.get(f"{address}v1/models").status_code == 200
    assert httpx2.get(f"{address}v1/models/none").status_code == 404
    assert time.monotonic() - started < 5  # the bar of one second is measured in a benchmark
    for opened in waiting:
        opened.close()


def test_pages_that_nobody_waits_for_are_not_made(served, parts):
    """Fill every thread with a search and queue more: those whose readers left never run."""
    begun, ended = [], threading.Event()

    def search(text, mode, cursor=None, **_):
        begun.append(text)
        ended.wait(20)
        return Results((), text)

    made = dataclasses.replace(parts, search=search)
    with served(create_app(made, SystemClock())) as address, ThreadPoolExecutor(1) as pool:
        first = [sent(address, head(f"/?q=first{n}", method="GET")) for n in range(THREADS)]
        wait_until(lambda: len(begun) == THREADS)
        waiting = [sent(address, head(f"/?q=waiting{n}", method="GET")) for n in range(30)]
        assert httpx2.get(f"{address}healthz").status_code == 200
        for opened in [*first, *waiting]:
            opened.close()
        time.sleep(0.2)
        last = pool.submit(httpx2.get, f"{address}?q=last", timeout=20)
        ended.set()
        assert last.result().status_code == 200
    assert sorted(begun) == sorted([*(f"first{n}" for n in range(THREADS)), "last"])
