"""Deadlines of a connection, over a real socket."""

import contextlib
import dataclasses
import socket
import time
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx2
import pytest

from rookery.core.context import SystemClock
from rookery.gateway import connection
from rookery.gateway.app import create_app

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture
def soon(monkeypatch):
    """Make the deadlines short."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "STALLED_SECONDS"):
        monkeypatch.setattr(connection, name, 0.3)


@pytest.fixture
def opened(soon, address):
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port), timeout=20) as found:
        yield found


def closed(opened: socket.socket) -> bytes:
    """Wait until the server closes the connection, and return what it sent before."""
    received = b""
    while part := opened.recv(1 << 16):
        received += part
    return received


@pytest.mark.parametrize("begun", [b"", b"G", GET[:-2], POST, POST + b"x" * 99])
def test_half_a_request_is_not_waited_for(opened, begun):
    opened.sendall(begun)
    assert closed(opened) == b""


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\n", POST])
def test_more_bytes_do_not_move_the_deadline(opened, begun):
    opened.sendall(begun)
    started = time.monotonic()
    while time.monotonic() - started < 15:
        try:
            opened.sendall(b"x")
        except OSError:
            return  # the server has closed the connection
        time.sleep(0.05)
    raise AssertionError("it stayed open")


def test_a_request_after_another_has_a_deadline_of_its_own(monkeypatch, address):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 2)
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port), timeout=20) as opened:
        for _ in range(3):
            opened.sendall(GET)
            answer = HTTPResponse(opened)
            answer.begin()
            assert (answer.status, answer.read()[:1]) == (200, b"{")
            time.sleep(0.8)
        opened.sendall(GET[:20])
        assert b"HTTP" not in closed(opened)


def test_a_whole_request_may_be_worked_on_longer_than_it_may_arrive(soon, served, parts):
    def slow(text, mode, cursor=None, **options):
        time.sleep(1)
        return parts.search(text, mode, cursor, **options)

    with served(create_app(dataclasses.replace(parts, search=slow), SystemClock())) as address:
        assert httpx2.get(address, params={"q": "tea"}).status_code == 200


def test_a_client_that_does_not_read_is_left(soon, served, parts):
    report = {"campaigns": [], "totals": {"refused": "x" * 50_000_000}}
    app = create_app(dataclasses.replace(parts, report=lambda: report), SystemClock())
    with served(app) as address:
        where = urlsplit(address)
        with socket.create_connection((where.hostname, where.port), timeout=20) as opened:
            opened.sendall(GET.replace(b"/healthz", b"/ads/report.json"))
            time.sleep(1.5)
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while part := opened.recv(1 << 20):
                    received += len(part)
            assert 0 < received < 50_000_000
